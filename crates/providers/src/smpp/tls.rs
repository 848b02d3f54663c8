//! The encrypted way to a message centre: rustls, with the machine's certificates or those of the settings.
//!
//! A certificate that does not fit the name is never accepted.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use postrider_core::error::{Error, ErrorKind, Result};

/// Makes connections encrypted.
pub(super) struct SmppTlsConnector(TlsConnector);

impl SmppTlsConnector {
    /// Reads the certificates, as PEM.
    pub fn new(ca: Option<&str>) -> Result<Self> {
        let certificates: Vec<CertificateDer<'static>> = match ca {
            None => rustls_native_certs::load_native_certs().certs,
            Some(pem) => CertificateDer::pem_slice_iter(pem.as_bytes())
                .collect::<std::result::Result<_, _>>()
                .map_err(|_| Error::usage("ca: is no certificate in PEM form; write \"${file:PATH}\""))?,
        };
        let mut roots = RootCertStore::empty();
        let (taken, _) = roots.add_parsable_certificates(certificates);
        if taken == 0 {
            return Err(Error::usage(match ca {
                Some(_) => "ca: holds no certificate in PEM form; write \"${file:PATH}\"",
                None => {
                    "base_url: this machine has no root certificates to check the server's with: install them \
                     (package ca-certificates), or name them as ca"
                }
            }));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::with_source(ErrorKind::Internal, "cannot prepare TLS", error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Encrypts a connection to that host.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| "the host's name fits no certificate")?;
        let wrapped = self.0.connect(name, stream).await;
        wrapped.map_err(|error| format!("cannot connect with TLS: {error}"))
    }
}
