//! TLS connections to a server, with rustls.
//!
//! The certificate checks follow libpq's `sslmode`. A certificate that is itself in the root file is trusted, because
//! many servers have a self-signed certificate. A failed check never falls back to a weaker check. The crate
//! `tokio-postgres-rustls` contains the same stream types; `channel_binding` says why it is not used.

use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::{future::Future, io, pin::Pin, sync::Arc};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls::{client::WebPkiServerVerifier, pki_types::pem::PemObject, server::ParsedCertificate};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Encrypted;

use super::channel_binding;
use postrider_core::error::{Error, ErrorKind, Result};

/// Trusted root certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The roots of the operating system.
    System,
    /// The certificates in a PEM file.
    File(PathBuf),
}

/// How a server's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateCheck {
    /// Not at all; the connection is only encrypted.
    Unverified,
    /// It must be signed by a root.
    Issuer(Roots),
    /// It must be signed by a root and name the host of the URL.
    HostName(Roots),
}

/// Makes TLS connections.
#[derive(Clone)]
pub struct PgTls {
    connector: TlsConnector,
}

impl PgTls {
    /// Reads the root certificates that the check needs.
    pub fn new(check: &CertificateCheck) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(CertificateVerifier::new(check, Arc::clone(&provider))?);
        let tls_config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls_config = tls_config.map_err(tls_setup_error)?.dangerous();
        let mut tls_config = tls_config.with_custom_certificate_verifier(verifier).with_no_client_auth();
        // PostgreSQL 17 and later require this protocol name for direct TLS negotiation.
        tls_config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(tls_config)) })
    }
}

/// Checks the certificate of a server.
#[derive(Debug)]
struct CertificateVerifier {
    provider: Arc<CryptoProvider>,
    /// None if every certificate is accepted.
    issuer: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates of the root file that a server may use itself.
    pinned: Vec<CertificateDer<'static>>,
    checks_host_name: bool,
}

impl CertificateVerifier {
    fn new(check: &CertificateCheck, provider: Arc<CryptoProvider>) -> Result<Self> {
        let (roots, checks_host_name) = match check {
            CertificateCheck::Unverified => {
                return Ok(Self { provider, issuer: None, pinned: Vec::new(), checks_host_name: false });
            }
            CertificateCheck::Issuer(roots) => (roots, false),
            CertificateCheck::HostName(roots) => (roots, true),
        };
        let (certificates, pinned) = match roots {
            Roots::System => (rustls_native_certs::load_native_certs().certs, Vec::new()),
            Roots::File(file) => {
                let file_certificates = read_certificates(file)?;
                (file_certificates.clone(), file_certificates)
            }
        };
        let mut root_store = RootCertStore::empty();
        let (added, _) = root_store.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(Error::usage(match roots {
                Roots::System => "the operating system has no root certificates to check the store's certificate: install them \
                                  (package ca-certificates), or name a file with sslrootcert=FILE in the store's URL"
                    .to_owned(),
                Roots::File(file) => format!(
                    "no certificate in {}: sslrootcert in the store's URL must name a PEM file with certificates",
                    file.display()
                ),
            }));
        }
        let issuer = WebPkiServerVerifier::builder_with_provider(Arc::new(root_store), Arc::clone(&provider));
        let issuer = Some(issuer.build().map_err(tls_setup_error)?);
        Ok(Self { provider, issuer, pinned, checks_host_name })
    }
}

fn tls_setup_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::with_source(ErrorKind::Internal, "cannot prepare TLS for the store", error)
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read_error = |error| {
        let context = format!("cannot read {}, named by sslrootcert in the store's URL", file.display());
        Error::with_source(ErrorKind::Usage, context, error)
    };
    let certificates = CertificateDer::pem_file_iter(file).map_err(read_error)?;
    certificates.collect::<std::result::Result<_, _>>().map_err(read_error)
}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        status: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(issuer) = &self.issuer else {
            return Ok(ServerCertVerified::assertion());
        };
        if self.pinned.iter().any(|pinned| pinned == certificate) {
            if self.checks_host_name {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        // The verifier checks the host name last. So if only the name is wrong, all other checks have passed.
        match issuer.verify_server_cert(certificate, intermediates, name, status, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_host_name => Ok(ServerCertVerified::assertion()),
            verification => verification,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl<S> MakeTlsConnect<S> for PgTls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = EncryptedStream<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        Ok(Handshake { connector: self.connector.clone(), host: host.to_owned() })
    }
}

/// A TLS handshake to one host.
pub struct Handshake {
    connector: TlsConnector,
    host: String,
}

type TlsConnectFuture<S> = Pin<Box<dyn Future<Output = io::Result<EncryptedStream<S>>> + Send>>;

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = EncryptedStream<S>;
    type Error = io::Error;
    type Future = TlsConnectFuture<S>;

    fn connect(self, stream: S) -> TlsConnectFuture<S> {
        Box::pin(async move {
            let host_name = ServerName::try_from(self.host);
            let host_name = host_name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            self.connector.connect(host_name, stream).await.map(EncryptedStream)
        })
    }
}

/// A TLS connection.
pub struct EncryptedStream<S>(Encrypted<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for EncryptedStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        match certificate.and_then(|certificate| channel_binding::certificate_digest(certificate)) {
            Some(digest) => ChannelBinding::tls_server_end_point(digest),
            None => ChannelBinding::none(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for EncryptedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for EncryptedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
