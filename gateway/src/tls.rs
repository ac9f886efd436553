//! TLS 1.2 and 1.3 by rustls, with HTTP/2 offered.

use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::HttpSettings;

/// `None` when no certificate is configured.
pub fn acceptor(settings: &HttpSettings) -> Result<Option<TlsAcceptor>> {
    if !settings.has_tls() {
        return Ok(None);
    }
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&settings.tls_cert)
        .and_then(Iterator::collect)
        .with_context(|| format!("http.tls_cert {}", settings.tls_cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(&settings.tls_key)
        .with_context(|| format!("http.tls_key {}", settings.tls_key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
