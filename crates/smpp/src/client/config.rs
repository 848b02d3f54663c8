//! Settings of an SMPP client.
//!
//! The values are validated by the caller.

use std::time::Duration;

use tokio_rustls::TlsConnector;

/// Maximum window size. SMSCs allow less, and a larger window does not increase throughput.
pub const WINDOW_SIZE_MAX: usize = 1_000;

/// Address of an SMSC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmppEndpoint {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The connection uses TLS.
    pub is_tls: bool,
}

/// Settings that all connections of one account share.
pub struct ClientConfig {
    /// Name of the account in log lines.
    pub name: String,
    /// Address of the SMSC.
    pub endpoint: SmppEndpoint,
    /// TLS client; `None` for an unencrypted connection.
    pub tls: Option<TlsConnector>,
    /// Body of the bind request, see [`BindRequest`](crate::pdu::BindRequest).
    pub bind_body: Vec<u8>,
    /// Number of connections.
    pub binds: usize,
    /// Maximum number of unanswered `submit_sm` on one connection.
    pub window_size: usize,
    /// Silence after which `enquire_link` is sent.
    pub enquire_link_interval: Duration,
    /// First delay before a lost connection is opened again.
    pub reconnect_delay: Duration,
    /// First pause after a refusal as too fast.
    pub throttle_delay: Duration,
    /// Maximum time to connect, including TLS.
    pub connect_timeout: Duration,
    /// Maximum time until the response to a bind or an `enquire_link`.
    pub response_timeout: Duration,
}
