//! Certificates made for a test.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// An authority that nobody else knows; its files go with it.
pub struct TestAuthority {
    folder: TempDir,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// PEM files of one process.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

impl TestAuthority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            folder: tempfile::tempdir().unwrap(),
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for these hosts, as names or addresses, good for clients and servers.
    pub fn issue(&self, hosts: &[&str]) -> Certificate {
        let folder = self.folder.path().join(crate::unique());
        fs::create_dir(&folder).unwrap();
        let files = Certificate {
            cert: folder.join("tls.crt"),
            key: folder.join("tls.key"),
            ca: folder.join("ca.crt"),
        };
        self.issue_into(&files, hosts);
        files
    }

    /// The same over files that are there, as a renewal does it.
    pub fn issue_into(&self, files: &Certificate, hosts: &[&str]) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "process of a test");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        put(&files.key, &key.serialize_pem());
        put(&files.cert, &cert.pem());
        put(&files.ca, &self.pem);
    }

    /// This authority's certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

impl Default for TestAuthority {
    fn default() -> Self {
        Self::new()
    }
}

/// At once: whoever reads meanwhile gets the old or the new.
fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}
