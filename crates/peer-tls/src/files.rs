use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The one protocol between our processes.
const ALPN: &[u8] = b"h2";

/// PEM files, as the settings name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain of this process, its own certificate first. It has to be good for clients and servers.
    pub tls_cert: PathBuf,
    pub tls_key: PathBuf,
    /// Authorities whose certificates are let in, and believed.
    pub tls_ca: PathBuf,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The setting that names it.
    pub file: &'static str,
    pub what: String,
}

/// The files as they were read.
#[derive(PartialEq, Eq)]
pub(crate) struct Content {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

pub(crate) struct Made {
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
}

impl TlsFiles {
    /// All that is wrong with the files.
    pub fn faults(&self) -> Vec<Fault> {
        self.read()
            .and_then(|content| content.make())
            .err()
            .unwrap_or_default()
    }

    pub(crate) fn read(&self) -> Result<Content, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut read = |file, path: &Path| {
            std::fs::read(path).unwrap_or_else(|fault| {
                faults.push(Fault {
                    file,
                    what: format!("{} cannot be read: {fault}", path.display()),
                });
                Vec::new()
            })
        };
        let content = Content {
            cert: read("tls_cert", &self.tls_cert),
            key: read("tls_key", &self.tls_key),
            ca: read("tls_ca", &self.tls_ca),
        };
        if faults.is_empty() {
            Ok(content)
        } else {
            Err(faults)
        }
    }
}

impl Content {
    pub(crate) fn make(&self) -> Result<Made, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut add = |file, what: String| faults.push(Fault { file, what });
        let chain = certificates(&self.cert);
        if let Err(what) = &chain {
            add("tls_cert", what.clone());
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key);
        if let Err(fault) = &key {
            add("tls_key", format!("holds no private key in PEM: {fault}"));
        }
        let roots = certificates(&self.ca).and_then(|found| {
            let mut roots = RootCertStore::empty();
            for root in found {
                roots
                    .add(root)
                    .map_err(|fault| format!("is no authority: {fault}"))?;
            }
            Ok(Arc::new(roots))
        });
        if let Err(what) = &roots {
            add("tls_ca", what.clone());
        }
        let (Ok(chain), Ok(key), Ok(roots)) = (chain, key, roots) else {
            return Err(faults);
        };
        configurations(chain, &key, roots).map_err(|fault| {
            vec![Fault {
                file: "tls_cert",
                what: format!("cannot be used with tls_key and tls_ca: {fault}"),
            }]
        })
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err("holds no certificate in PEM".into()),
        Ok(found) => Ok(found),
        Err(fault) => Err(format!("is not PEM: {fault}")),
    }
}

fn configurations(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
) -> Result<Made, Box<dyn std::error::Error>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider)).build()?;
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain.clone(), key.clone_key())?;
    server.alpn_protocols = vec![ALPN.to_vec()];
    // Each connection is judged anew: a session that is resumed would go on with a certificate that is no longer believed.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key.clone_key())?;
    client.alpn_protocols = vec![ALPN.to_vec()];
    client.resumption = Resumption::disabled();
    Ok(Made {
        server: Arc::new(server),
        client: Arc::new(client),
    })
}
