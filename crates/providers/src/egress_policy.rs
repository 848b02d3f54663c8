//! Where calls may go whose URL came from outside: public addresses, and the networks an operator has allowed.
//!
//! A name is judged by the addresses it leads to, in the moment of connecting, and the connection is made to an address
//! that was judged: so a name that leads elsewhere at the second look gains nothing. Redirects are never followed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Request, Url};

use super::http_client::{HttpCallResult, HttpClient, HttpResponse, IDLE_CONNECTION_MAX};
use super::{CallLimits, Transcript};
use postrider_core::error::{Error, ErrorKind, Result};

/// What is said of an address that may not be called. It does not say which address a name led to.
const FORBIDDEN_ADDRESS: &str = "the address is not a public one, and no allowed network has it";

/// How the TLS library begins what it says of a certificate that is not to be believed.
const INVALID_CERTIFICATE_PREFIX: &str = "invalid peer certificate";

/// Where calls may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressPolicy {
    allowed_networks: Vec<IpNetwork>,
    allowed_ports: Vec<u16>,
}

impl EgressPolicy {
    /// Public addresses over https on one of these ports, and besides anything in these networks.
    pub fn new(networks: Vec<IpNetwork>, ports: Vec<u16>) -> Self {
        Self {
            allowed_networks: networks,
            allowed_ports: ports,
        }
    }

    /// Reads networks such as `10.0.0.0/8`, `fd00::/8` or `127.0.0.1`. The error says which is none.
    pub fn parse(networks: &[impl AsRef<str>], ports: &[u16]) -> Result<Self, String> {
        let read = |text: &str| {
            text.parse().map_err(|InvalidNetwork| {
                format!("{text:?} is no network; write it as 10.0.0.0/8 or 127.0.0.1")
            })
        };
        let networks = networks.iter().map(|text| read(text.as_ref()));
        Ok(Self::new(networks.collect::<Result<_, _>>()?, ports.to_vec()))
    }

    /// Whether a call there can ever be made; the error says what is wrong with the URL. What a name leads to is seen
    /// only when it is called.
    pub fn check_url(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("must begin with https://HOST".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must have no name and password before the host".to_owned());
        }
        if let Some(address) = ip_literal(url) {
            return if self.is_allowed(url, address) {
                Ok(())
            } else {
                Err(FORBIDDEN_ADDRESS.to_owned())
            };
        }
        if self.allowed_networks.is_empty() && !self.is_https_on_allowed_port(url) {
            let ports = self
                .allowed_ports
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>();
            return Err(format!(
                "must begin with https:// and have one of the ports {}",
                ports.join(", ")
            ));
        }
        Ok(())
    }

    fn is_allowed(&self, url: &Url, address: IpAddr) -> bool {
        self.is_in_allowed_network(address) || (self.is_https_on_allowed_port(url) && is_public(address))
    }

    /// Whether it is a call that a public address may get.
    fn is_https_on_allowed_port(&self, url: &Url) -> bool {
        url.scheme() == "https"
            && url
                .port_or_known_default()
                .is_some_and(|port| self.allowed_ports.contains(&port))
    }

    fn is_in_allowed_network(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed_networks
            .iter()
            .any(|network| network.contains(address))
    }
}

fn ip_literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// What came of a call that was guarded.
#[derive(Debug)]
pub enum EgressResult {
    /// There was a status line.
    Response(HttpResponse),
    /// It may not be called at all.
    Forbidden(String),
    /// Its certificate is not to be believed.
    UntrustedCertificate(String),
    /// Nobody was reached, or there was no answer.
    Failed(String),
}

/// The way out for URLs from outside.
pub struct EgressClient {
    policy: EgressPolicy,
    /// For calls that public addresses may get as well.
    public_client: HttpClient,
    /// For those that only allowed networks may get.
    allowed_networks_client: HttpClient,
}

impl EgressClient {
    /// A way out with these limits.
    pub fn new(guard: EgressPolicy, limits: &CallLimits) -> Result<Self> {
        // It fails only when a provider of cryptography is installed already, which will then do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let line = |is_wide| {
            let resolver = PolicyResolver {
                policy: guard.clone(),
                allows_public: is_wide,
            };
            Ok::<_, Error>(HttpClient::from_client(build_client(limits, resolver)?, limits))
        };
        Ok(Self {
            public_client: line(true)?,
            allowed_networks_client: line(false)?,
            policy: guard,
        })
    }

    /// The same, writing its calls down where there is a tape.
    pub fn with_transcript(self, tape: Option<Transcript>) -> Self {
        Self {
            public_client: self.public_client.with_transcript(tape.clone()),
            allowed_networks_client: self.allowed_networks_client.with_transcript(tape),
            policy: self.policy,
        }
    }

    /// Makes one call, if it may be made. Never repeats it, never follows a redirect.
    pub async fn call(&self, request: Request) -> EgressResult {
        if let Err(reason) = self.policy.check_url(request.url()) {
            return EgressResult::Forbidden(reason);
        }
        let line = if self.policy.is_https_on_allowed_port(request.url()) {
            &self.public_client
        } else {
            &self.allowed_networks_client
        };
        match line.call(request).await {
            HttpCallResult::Response(answered) => EgressResult::Response(answered),
            HttpCallResult::NotSent(reason) if reason == FORBIDDEN_ADDRESS => EgressResult::Forbidden(reason),
            HttpCallResult::NotSent(reason) if reason.starts_with(INVALID_CERTIFICATE_PREFIX) => {
                EgressResult::UntrustedCertificate(reason)
            }
            HttpCallResult::NotSent(reason)
            | HttpCallResult::NoResponse(reason)
            | HttpCallResult::InvalidRequest(reason) => EgressResult::Failed(reason),
        }
    }
}

fn build_client(limits: &CallLimits, resolver: PolicyResolver) -> Result<Client> {
    Client::builder()
        .connect_timeout(limits.connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION_MAX)
        .tcp_nodelay(true)
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .redirect(Policy::none())
        .dns_resolver(Arc::new(resolver))
        .user_agent(concat!("postrider/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|cause| {
            let act =
                "cannot prepare https; install this machine's CA certificates (package ca-certificates)";
            Error::with_source(ErrorKind::Usage, act, cause)
        })
}

/// Looks names up and keeps only addresses that may be called.
struct PolicyResolver {
    policy: EgressPolicy,
    allows_public: bool,
}

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, is_wide) = (self.policy.clone(), self.allows_public);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = |address: &SocketAddr| {
                guard.is_in_allowed_network(address.ip()) || (is_wide && is_public(address.ip()))
            };
            let kept = found.filter(allowed).collect::<Vec<_>>();
            if kept.is_empty() {
                return Err(ForbiddenAddress.into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

#[derive(Debug)]
struct ForbiddenAddress;

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(FORBIDDEN_ADDRESS)
    }
}

impl std::error::Error for ForbiddenAddress {}

/// An address and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    address: IpAddr,
    prefix_bits: u32,
}

/// The text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidNetwork;

impl FromStr for IpNetwork {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| InvalidNetwork))?;
        (bits <= most)
            .then_some(Self {
                address,
                prefix_bits: bits,
            })
            .ok_or(InvalidNetwork)
    }
}

impl IpNetwork {
    fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => has_same_prefix(
                u128::from(own.to_bits()) << 96,
                u128::from(other.to_bits()) << 96,
                self.prefix_bits,
            ),
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                has_same_prefix(own.to_bits(), other.to_bits(), self.prefix_bits)
            }
            _ => false,
        }
    }
}

fn has_same_prefix(one: u128, other: u128, bits: u32) -> bool {
    (one ^ other).checked_shr(128 - bits).unwrap_or(0) == 0
}

/// Whether an address is one of the public network, by the registries of special addresses (RFC 6890 and those after).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && (c == 0 || c == 2))
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113);
    !(is_special || address.is_loopback() || address.is_private() || address.is_link_local())
}

/// Of the addresses that carry one of version 4, only those that stand for it are judged by it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let segments = address.segments();
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    let is_given_out = segments[0] & 0xe000 == 0x2000;
    let is_special = matches!(
        (segments[0], segments[1]),
        (0x2001, 0..0x200 | 0xdb8) | (0x2002, _) | (0x3fff, 0..0x1000)
    );
    is_given_out && !is_special
}

#[cfg(test)]
mod tests;
