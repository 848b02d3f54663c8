//! TLS clients of the adapters that do not use HTTP, and the root certificates they trust.
//!
//! Certificates are always verified; there is no setting to skip that.

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
    /// The operating system.
    System,
    /// Certificates in PEM format.
    Pem(&'a str),
    /// The path of a file in PEM format.
    File(&'a Path),
}

/// Returns a TLS client that accepts a server whose certificate is valid for its host and signed by one of the roots.
///
/// `key` is the configuration key of the roots, for error messages.
///
/// # Errors
///
/// Fails when the source cannot be read or holds no certificate.
pub(super) fn connector(roots: &RootCertificates, key: &str) -> Result<TlsConnector> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::with_source(ErrorKind::Internal, "cannot create a TLS client", error))?
        .with_root_certificates(load_roots(roots, key)?)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn load_roots(roots: &RootCertificates, config_key: &str) -> Result<RootCertStore> {
    let root_certificates = match roots {
        RootCertificates::System => rustls_native_certs::load_native_certs().certs,
        RootCertificates::Pem(text) => {
            CertificateDer::pem_slice_iter(text.as_bytes()).collect::<std::result::Result<_, _>>().map_err(
                |_| Error::usage(format!("{config_key}: is not in PEM format; write \"${{file:PATH}}\"")),
            )?
        }
        RootCertificates::File(path) => {
            CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| {
                Error::usage(format!("{config_key}: {} cannot be read: {error}", path.display()))
            })?
        }
    };
    let mut store = RootCertStore::empty();
    let (added_count, _) = store.add_parsable_certificates(root_certificates);
    if added_count > 0 {
        return Ok(store);
    }
    Err(Error::usage(match roots {
        RootCertificates::System => format!(
            "this machine has no root certificates: install the package ca-certificates, or set {config_key}"
        ),
        RootCertificates::Pem(_) | RootCertificates::File(_) => {
            format!("{config_key}: holds no certificate in PEM format")
        }
    }))
}
