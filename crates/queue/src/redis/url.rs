//! Parses the URL of a queue: hosts, topology, credentials and certificates.
//!
//! Several hosts are a cluster or sentinels. The hash tag in the prefix puts all keys of a queue into one slot, so one
//! connection is enough. Errors never contain the URL, which may hold a password. redis parses the URL of each host with
//! the `url` crate; the list of hosts is split here, because `url` rejects `HOST:PORT,HOST:PORT`.

use std::collections::HashMap;

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, TlsCertificates,
};

use postrider_core::error::{Error, Result};

/// Prefix of every key without `?prefix=`.
const DEFAULT_KEY_PREFIX: &str = "postrider:";

/// Default port of sentinels.
const DEFAULT_SENTINEL_PORT: u16 = 26_379;

/// A parsed URL.
pub(super) struct RedisUrl {
    /// The hosts, at least one.
    pub hosts: Vec<ConnectionInfo>,
    /// The relation between the hosts.
    pub topology: Topology,
    /// The prefix of every key.
    pub prefix: String,
}

/// The relation between the hosts of a URL.
pub(super) enum Topology {
    /// One server.
    Standalone,
    /// Members of a cluster, each of which can name the owner of a slot.
    Cluster,
    /// Sentinels, which know the present master.
    Sentinels {
        /// The name of the master.
        master: String,
        /// The credentials for the sentinels.
        credentials: RedisConnectionInfo,
    },
}

impl RedisUrl {
    /// Parses a URL and reads the certificates that it names. Does not connect.
    pub fn parse(url: &str) -> Result<Self> {
        if url.contains('#') {
            return Err(invalid_url("remove \"#\" and the text after it"));
        }
        let (body, url_query) = url.split_once('?').unwrap_or((url, ""));
        let url_query = UrlQuery(form_urlencoded::parse(url_query.as_bytes()).into_owned().collect());
        let (scheme, rest) = body.split_once("://").unwrap_or((body, ""));
        let (base_scheme, topology_name) = scheme.split_once(['+', '-']).unwrap_or((scheme, ""));
        if topology_name == "unix" || base_scheme.starts_with("unix:") || base_scheme == "unix" {
            return Ok(Self {
                hosts: vec![connection_info(url)?],
                prefix: url_query.prefix(&Topology::Standalone),
                topology: Topology::Standalone,
            });
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let start = authority.rfind('@').map_or(0, |at| at + 1);
        let (user, hosts) = authority.split_at(start);
        let (topology, path) = parse_topology(topology_name, path, &url_query)?;
        if matches!(topology, Topology::Standalone) && hosts.contains(',') {
            return Err(invalid_url("several hosts need redis-cluster:// or redis+sentinel://"));
        }
        let hosts = hosts.split(',').map(|host| {
            let info = connection_info(&format!("{base_scheme}://{user}{host}/{path}"))?;
            let info = url_query.with_certificates(info)?;
            Ok(match topology {
                Topology::Sentinels { .. } if !has_port(host) => {
                    with_host(&info, None, DEFAULT_SENTINEL_PORT)
                }
                _ => info,
            })
        });
        Ok(Self { hosts: hosts.collect::<Result<_>>()?, prefix: url_query.prefix(&topology), topology })
    }

    /// Returns the hosts as text for the log.
    pub fn hosts_text(&self) -> String {
        let hosts = self.hosts.iter().map(|host| host.addr().to_string());
        hosts.collect::<Vec<_>>().join(", ")
    }
}

/// Returns the connection settings with another port and, if `new_host` is given, another host.
pub(super) fn with_host(info: &ConnectionInfo, new_host: Option<&str>, new_port: u16) -> ConnectionInfo {
    let mut address = info.addr().clone();
    if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } = &mut address {
        *host = new_host.unwrap_or(host.as_str()).to_owned();
        *port = new_port;
    }
    info.clone().set_addr(address)
}

/// Returns the topology and the rest of the path.
fn parse_topology<'a>(
    topology_name: &str,
    url_path: &'a str,
    query: &UrlQuery,
) -> Result<(Topology, &'a str)> {
    match topology_name {
        "sentinel" => {
            let (master, database) = url_path.split_once('/').unwrap_or((url_path, ""));
            if master.is_empty() {
                return Err(invalid_url("the name of the master is missing"));
            }
            let topology =
                Topology::Sentinels { master: master.to_owned(), credentials: query.sentinel_credentials() };
            Ok((topology, database))
        }
        "cluster" => Ok((Topology::Cluster, url_path)),
        "" if query.0.get("cluster").is_some_and(|value| value == "true") => {
            Ok((Topology::Cluster, url_path))
        }
        "" => Ok((Topology::Standalone, url_path)),
        _ => Err(invalid_url("unknown scheme")),
    }
}

/// The query part of the URL.
struct UrlQuery(HashMap<String, String>);

impl UrlQuery {
    /// Returns the prefix of every key. In a cluster, keys with the same part in braces (the hash tag) are in one slot.
    fn prefix(&self, topology: &Topology) -> String {
        let key_prefix = self.0.get("prefix").map_or(DEFAULT_KEY_PREFIX, String::as_str);
        match topology {
            Topology::Cluster if !key_prefix.contains('{') => format!("{{{key_prefix}}}"),
            Topology::Cluster | Topology::Standalone | Topology::Sentinels { .. } => key_prefix.to_owned(),
        }
    }

    fn sentinel_credentials(&self) -> RedisConnectionInfo {
        let mut credentials = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(user) = self.0.get("sentinel_user") {
            credentials = credentials.set_username(user);
        }
        if let Some(password) = self.0.get("sentinel_password") {
            credentials = credentials.set_password(password);
        }
        credentials
    }

    /// Adds the certificates that the query names, read from their files.
    fn with_certificates(&self, info: ConnectionInfo) -> Result<ConnectionInfo> {
        let read_file_param = |name: &str| {
            let Some(certificate_file) = self.0.get(name) else {
                return Ok(None);
            };
            let certificate_pem = std::fs::read(certificate_file);
            certificate_pem
                .map(Some)
                .map_err(|cause| invalid_url(&format!("{name} {certificate_file} cannot be read: {cause}")))
        };
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            let has_certificates = ["ca", "cert", "key"].iter().any(|name| self.0.contains_key(*name));
            let missing_tls = || invalid_url("ca, cert and key need TLS: use rediss://");
            return (!has_certificates).then_some(info).ok_or_else(missing_tls);
        }
        let root_cert = read_file_param("ca")?;
        let client_tls = match (read_file_param("cert")?, read_file_param("key")?) {
            (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig { client_cert, client_key }),
            (None, None) => None,
            _ => return Err(invalid_url("cert and key must be given together")),
        };
        // This fails only if a crypto provider was already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = TlsCertificates { client_tls, root_cert };
        let client =
            Client::build_with_tls(info, certificates).map_err(|error| invalid_url(&error.to_string()))?;
        Ok(client.get_connection_info().clone())
    }
}

/// Parses the URL of one host. RESP3 carries notifications over the same connection as commands.
fn connection_info(url: &str) -> Result<ConnectionInfo> {
    let parsed = redis::parse_redis_url(url).ok_or_else(|| invalid_url("not a URL"))?;
    let connection = parsed.into_connection_info().map_err(|error| invalid_url(&error.to_string()))?;
    let settings = connection
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3)
        // CLIENT SETINFO is omitted, so that an ACL user needs no permission for it.
        .set_skip_set_lib_name();
    Ok(connection.set_redis_settings(settings))
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'))
}

fn invalid_url(reason: &str) -> Error {
    Error::usage(format!(
        "invalid queue url: {reason}; expected redis://[[USER]:PASSWORD@]HOST[:PORT][/DB][?prefix=NAME:], \
         rediss://… with TLS, redis-cluster://HOST,HOST or redis+sentinel://HOST,HOST/MASTER"
    ))
}

#[cfg(test)]
mod tests;
