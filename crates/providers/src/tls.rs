//! Root certificates and TLS clients for adapters that do not use HTTP.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use postrider_core::error::{Error, ErrorKind, Result};

/// Source of the certificates that may sign a server's certificate.
pub(super) enum RootCertificates<'a> {
    /// The root certificates of the operating system.
    System,
    /// Certificates in PEM format, the value of the configuration key `key`.
    Pem { key: &'static str, pem: &'a str },
    /// A file in PEM format, named by the configuration key `key`.
    File { key: &'static str, path: &'a Path },
}

/// Returns a TLS client that accepts only a certificate which is valid for the host and signed by one of the roots.
///
/// `ca_key` is the configuration key that replaces the roots of the operating system, for the error message.
///
/// # Errors
///
/// Fails when the source cannot be read or holds no certificate.
pub(super) fn connector(roots: &RootCertificates, ca_key: &str) -> Result<TlsConnector> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::with_source(ErrorKind::Internal, "cannot create a TLS client", error))?
        .with_root_certificates(load(roots, ca_key)?)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn load(roots: &RootCertificates, ca_key: &str) -> Result<RootCertStore> {
    todo!()
}
