//! Opens the connection to an SMSC: TCP, and TLS where configured.
//!
//! The certificate must be valid for the host of the endpoint.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::config::ClientConfig;

/// A connection, encrypted or not.
pub trait SmppStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> SmppStream for T {}

/// Connects to the SMSC. The error is the reason for an operator.
pub async fn connect(config: &ClientConfig) -> Result<Box<dyn SmppStream>, String> {
    let endpoint = &config.endpoint;
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
    let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
    // A connection without TCP_NODELAY is only slower, so a failure is ignored.
    let _ = stream.set_nodelay(true);
    let Some(tls) = &config.tls else {
        return Ok(Box::new(stream));
    };
    let server_name = ServerName::try_from(endpoint.host.clone())
        .map_err(|_| "cannot connect with TLS: the host name cannot be in a certificate")?;
    let tls_stream = tls.connect(server_name, stream).await;
    Ok(Box::new(tls_stream.map_err(|error| format!("cannot connect with TLS: {error}"))?))
}
