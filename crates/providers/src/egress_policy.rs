//! Restricts calls to untrusted URLs: public addresses, and the networks that the operator allows (SSRF protection).
//!
//! A host name is resolved when the connection is made, and the connection goes to a checked address, so a name that
//! resolves differently a second time cannot bypass the check. Redirects are not followed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Request, Url};

use postrider_core::error::{Error, ErrorKind, Result};

use crate::http_client::{HttpClient, IDLE_CONNECTION_MAX};
use crate::http_response::{HttpCallResult, HttpResponse};
use crate::provider::CallLimits;
use crate::transcript::Transcript;

/// The reason for a forbidden address. It does not reveal the address that a name resolved to.
const FORBIDDEN_ADDRESS: &str = "the address is not public and not in an allowed network";

/// The beginning of the TLS library's message for an untrusted certificate.
const INVALID_CERTIFICATE_PREFIX: &str = "invalid peer certificate";

/// The addresses that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressPolicy {
    allowed_networks: Vec<IpNetwork>,
    allowed_ports: Vec<u16>,
}

impl EgressPolicy {
    /// Allows public addresses over https on one of these ports, and every call to these networks.
    pub fn new(networks: Vec<IpNetwork>, ports: Vec<u16>) -> Self {
        Self { allowed_networks: networks, allowed_ports: ports }
    }

    /// Parses networks such as `10.0.0.0/8`, `fd00::/8` or `127.0.0.1`. The error names the invalid one.
    pub fn parse(networks: &[impl AsRef<str>], ports: &[u16]) -> Result<Self, String> {
        let parse = |text: &str| {
            text.parse().map_err(|InvalidNetwork| {
                format!("invalid network {text:?}; write it as 10.0.0.0/8 or 127.0.0.1")
            })
        };
        let networks = networks.iter().map(|text| parse(text.as_ref()));
        Ok(Self::new(networks.collect::<Result<_, _>>()?, ports.to_vec()))
    }

    /// Checks what can be checked without resolving the host name.
    ///
    /// # Errors
    ///
    /// The reason why the URL can never be called.
    pub fn check_url(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("must begin with https://HOST".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain a name and a password".to_owned());
        }
        if let Some(address) = ip_literal(url) {
            return if self.is_allowed(url, address) { Ok(()) } else { Err(FORBIDDEN_ADDRESS.to_owned()) };
        }
        if self.allowed_networks.is_empty() && !self.is_https_on_allowed_port(url) {
            let ports = self.allowed_ports.iter().map(ToString::to_string).collect::<Vec<_>>();
            return Err(format!("must begin with https:// and have one of the ports {}", ports.join(", ")));
        }
        Ok(())
    }

    fn is_allowed(&self, url: &Url, address: IpAddr) -> bool {
        self.is_in_allowed_network(address) || (self.is_https_on_allowed_port(url) && is_public(address))
    }

    /// Returns whether a public address may get this call.
    fn is_https_on_allowed_port(&self, url: &Url) -> bool {
        url.scheme() == "https"
            && url.port_or_known_default().is_some_and(|port| self.allowed_ports.contains(&port))
    }

    fn is_in_allowed_network(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed_networks.iter().any(|network| network.contains(address))
    }
}

fn ip_literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The result of a call to an untrusted URL.
#[derive(Debug)]
pub enum EgressResult {
    /// A status line arrived.
    Response(HttpResponse),
    /// The policy forbids the URL or its address.
    Forbidden(String),
    /// The server's certificate is not trusted.
    UntrustedCertificate(String),
    /// There was no connection or no response.
    Failed(String),
}

/// A client for untrusted URLs.
pub struct EgressClient {
    policy: EgressPolicy,
    /// Resolves to public addresses and allowed networks.
    public_client: HttpClient,
    /// Resolves to allowed networks only.
    allowed_networks_client: HttpClient,
}

impl EgressClient {
    /// Returns a client with these limits.
    pub fn new(policy: EgressPolicy, limits: &CallLimits) -> Result<Self> {
        // Fails only when a cryptography provider is installed already; that one is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |allows_public| {
            let resolver = PolicyResolver { policy: policy.clone(), allows_public };
            Ok::<_, Error>(HttpClient::from_client(build_client(limits, resolver)?, limits))
        };
        Ok(Self { public_client: client(true)?, allowed_networks_client: client(false)?, policy })
    }

    /// Records the client's calls in the transcript, if there is one.
    pub fn with_transcript(self, transcript: Option<Transcript>) -> Self {
        Self {
            public_client: self.public_client.with_transcript(transcript.clone()),
            allowed_networks_client: self.allowed_networks_client.with_transcript(transcript),
            policy: self.policy,
        }
    }

    /// Makes one call if the policy allows it. Never repeats it, never follows a redirect.
    pub async fn call(&self, request: Request) -> EgressResult {
        if let Err(reason) = self.policy.check_url(request.url()) {
            return EgressResult::Forbidden(reason);
        }
        let client = if self.policy.is_https_on_allowed_port(request.url()) {
            &self.public_client
        } else {
            &self.allowed_networks_client
        };
        match client.call(request).await {
            HttpCallResult::Response(response) => EgressResult::Response(response),
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
            Error::with_source(
                ErrorKind::Usage,
                "cannot prepare https; install this machine's CA certificates (package ca-certificates)",
                cause,
            )
        })
}

/// Resolves host names to the addresses that may be called.
struct PolicyResolver {
    policy: EgressPolicy,
    allows_public: bool,
}

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, allows_public) = (self.policy.clone(), self.allows_public);
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let is_allowed = |address: &SocketAddr| {
                policy.is_in_allowed_network(address.ip()) || (allows_public && is_public(address.ip()))
            };
            let allowed: Vec<_> = addresses.filter(is_allowed).collect();
            if allowed.is_empty() {
                return Err(ForbiddenAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[derive(Debug)]
struct ForbiddenAddress;

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(FORBIDDEN_ADDRESS)
    }
}

impl std::error::Error for ForbiddenAddress {}

/// An address and the number of its significant bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    address: IpAddr,
    prefix_bits: u32,
}

/// The error of a text that is not a network.
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
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(bits_max), |bits| bits.parse().map_err(|_| InvalidNetwork))?;
        (bits <= bits_max).then_some(Self { address, prefix_bits: bits }).ok_or(InvalidNetwork)
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

fn has_same_prefix(address: u128, network: u128, bits: u32) -> bool {
    (address ^ network).checked_shr(128 - bits).unwrap_or(0) == 0
}

/// Returns whether an address is public, by the IANA registries of special-purpose addresses (RFC 6890 and its updates).
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

/// An address that maps to IPv4 (`::ffff:`, NAT64) is checked as IPv4; other embeddings (6to4, Teredo) are not public.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let segments = address.segments();
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    let is_global_unicast = segments[0] & 0xe000 == 0x2000;
    let is_special =
        matches!((segments[0], segments[1]), (0x2001, 0..0x200 | 0xdb8) | (0x2002, _) | (0x3fff, 0..0x1000));
    is_global_unicast && !is_special
}

#[cfg(test)]
mod tests;
