//! Parses a store URL as libpq does: several hosts, TLS modes, root certificates.
//!
//! The settings that `tokio-postgres` does not support (`verify-ca`, `verify-full`, `sslrootcert`, more values of
//! `target_session_attrs`) are taken out of the URL and handled here. Each host has its own configuration, so that a
//! host that does not respond delays the connection only by its own timeout. The crate `url` cannot parse a URL with
//! several hosts.

use std::{path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};

use super::tls::{CertificateCheck, PgTls, Roots};
use postrider_core::error::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// Port of PostgreSQL if the URL has none.
const DEFAULT_PORT: u16 = 5432;

/// Default connection timeouts per host, for a URL with one host and with several.
const SINGLE_HOST_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MULTI_HOST_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Default maximum time that sent data may stay unacknowledged before the connection counts as broken.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(8);

/// Default keepalive settings of an idle connection: a dead server is detected after 8 s.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(4);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_RETRIES: u32 = 2;

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerRole {
    /// Reads and writes; only a writable server is used.
    Primary,
    /// Reads of data that may be a few seconds old.
    Replica,
}

/// The servers of a store URL and how to connect to them.
pub struct PgConnectionConfig {
    /// The servers, in the order of the URL.
    pub hosts: Vec<Config>,
    /// TLS mode and trusted certificates.
    pub tls: PgTls,
    /// Maximum time to connect to one host.
    pub connect_timeout: Duration,
    /// True if connections are distributed over the hosts. If false, the host that was used last is tried first.
    pub is_load_balanced: bool,
}

/// The settings of a URL that `tokio-postgres` does not support.
#[derive(Default)]
struct PgTlsSettings {
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    target_session_attrs: Option<String>,
}

/// Parses a store URL. If the URL has several hosts and no `target_session_attrs`, `role` selects the usable servers.
pub fn parse(url: &str, role: ServerRole) -> Result<PgConnectionConfig> {
    let (urls, tls_settings) = split_hosts(url);
    let (ssl_mode, certificate_check) =
        parse_ssl_mode(tls_settings.sslmode.as_deref(), tls_settings.sslrootcert.as_deref())?;
    let hosts = urls.iter().map(|url| url.parse::<Config>()).collect::<std::result::Result<Vec<_>, _>>();
    let mut hosts = hosts.map_err(|error| {
        Error::with_source(ErrorKind::Usage, "the store's URL is not a valid PostgreSQL URL", error)
    })?;
    let has_several_hosts = hosts.len() > 1 || hosts.iter().any(|host| host.get_hosts().len() > 1);
    let session_attrs =
        parse_session_attrs(tls_settings.target_session_attrs.as_deref(), has_several_hosts, role)?;
    let default_timeout =
        if has_several_hosts { MULTI_HOST_CONNECT_TIMEOUT } else { SINGLE_HOST_CONNECT_TIMEOUT };
    let url_timeout = hosts.iter().find_map(|host| host.get_connect_timeout().copied());
    let connect_timeout = url_timeout.unwrap_or(default_timeout);
    let is_load_balanced = hosts.iter().any(|host| host.get_load_balance_hosts() == LoadBalanceHosts::Random);
    for host in &mut hosts {
        host.ssl_mode(ssl_mode).target_session_attrs(session_attrs).connect_timeout(connect_timeout);
        set_defaults(host);
    }
    Ok(PgConnectionConfig { hosts, tls: PgTls::new(&certificate_check)?, connect_timeout, is_load_balanced })
}

impl PgConnectionConfig {
    /// Returns the servers as `HOST:PORT` or the folder of a socket, separated by commas.
    pub fn server_list(&self) -> String {
        let servers = self.hosts.iter().map(|host| {
            let port = host.get_ports().first().copied().unwrap_or(DEFAULT_PORT);
            match host.get_hosts().first() {
                Some(Host::Tcp(name)) => format!("{name}:{port}"),
                #[cfg(unix)]
                Some(Host::Unix(folder)) => format!("{}:{port}", folder.display()),
                None => format!("localhost:{port}"),
            }
        });
        servers.collect::<Vec<_>>().join(",")
    }
}

/// Sets the TCP timeout, keepalives and the application name where the URL does not set them.
fn set_defaults(host: &mut Config) {
    if host.get_tcp_user_timeout().is_none() {
        host.tcp_user_timeout(TCP_USER_TIMEOUT);
    }
    if host.get_application_name().is_none() {
        host.application_name("postrider");
    }
    if host.get_keepalives_interval().is_none() {
        host.keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES);
    }
}

/// Splits a URL into one URL per host, without the settings that are handled here.
fn split_hosts(url: &str) -> (Vec<String>, PgTlsSettings) {
    let (scheme, after_scheme) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (user, after_user) = after_scheme.split_at(after_scheme.find('@').map_or(0, |at| at + 1));
    let (hosts, after_hosts) = after_user.split_at(after_user.find(['/', '?']).unwrap_or(after_user.len()));
    let (path, settings) = after_hosts.split_once('?').unwrap_or((after_hosts, ""));
    let mut tls_settings = PgTlsSettings::default();
    let mut other_settings = Vec::new();
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        let (setting_name, encoded_value) = setting.split_once('=').unwrap_or((setting, ""));
        let decoded_value = || Some(percent_decode_str(encoded_value).decode_utf8_lossy().into_owned());
        match setting_name {
            "sslmode" => tls_settings.sslmode = decoded_value(),
            "sslrootcert" => tls_settings.sslrootcert = decoded_value(),
            "target_session_attrs" => tls_settings.target_session_attrs = decoded_value(),
            _ => other_settings.push(setting),
        }
    }
    let other_settings = other_settings.join("&");
    let host_url = |host| format!("{scheme}{user}{host}{path}?{other_settings}");
    (hosts.split(',').map(host_url).collect(), tls_settings)
}

/// Parses `sslmode` and `sslrootcert`. As in libpq, `require` with a root certificate verifies the issuer as `verify-ca`
/// does.
fn parse_ssl_mode(sslmode: Option<&str>, sslrootcert: Option<&str>) -> Result<(SslMode, CertificateCheck)> {
    let named_roots = sslrootcert.map(|sslrootcert| match sslrootcert {
        "system" => Roots::System,
        file => Roots::File(PathBuf::from(file)),
    });
    let roots = named_roots.clone().unwrap_or(Roots::System);
    Ok(match (sslmode, named_roots) {
        (Some("disable"), _) => (SslMode::Disable, CertificateCheck::Unverified),
        (Some("verify-full"), _) | (None, Some(Roots::System)) => {
            (SslMode::Require, CertificateCheck::HostName(roots))
        }
        (Some("prefer") | None, _) => (SslMode::Prefer, CertificateCheck::Unverified),
        (Some("require"), None) => (SslMode::Require, CertificateCheck::Unverified),
        (Some("verify-ca" | "require"), Some(Roots::System)) => {
            return Err(Error::usage(
                "sslrootcert=system needs sslmode=verify-full in the store's URL: anyone can get a public certificate \
                 for their own host name",
            ));
        }
        (Some("verify-ca" | "require"), _) => (SslMode::Require, CertificateCheck::Issuer(roots)),
        (Some(_), _) => {
            return Err(Error::usage(
                "sslmode in the store's URL must be disable, prefer, require, verify-ca or verify-full",
            ));
        }
    })
}

/// Parses `target_session_attrs`. If it is missing and there are several hosts, the role decides.
fn parse_session_attrs(
    target_session_attrs: Option<&str>,
    has_several_hosts: bool,
    role: ServerRole,
) -> Result<TargetSessionAttrs> {
    match target_session_attrs {
        Some("read-write" | "primary") => Ok(TargetSessionAttrs::ReadWrite),
        Some("read-only" | "standby") => Ok(TargetSessionAttrs::ReadOnly),
        Some("any") => Ok(TargetSessionAttrs::Any),
        Some(_) => Err(Error::usage(
            "target_session_attrs in the store's URL must be read-write, read-only, primary, standby or any",
        )),
        None if !has_several_hosts => Ok(TargetSessionAttrs::Any),
        None if role == ServerRole::Primary => Ok(TargetSessionAttrs::ReadWrite),
        None => Ok(TargetSessionAttrs::ReadOnly),
    }
}
