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

use super::outbound::{Answered, IDLE_CONNECTION_MAX, Line, Reply};
use super::{CallLimits, Tape};
use crate::error::{Error, Kind, Result};

/// What is said of an address that may not be called. It does not say which address a name led to.
const FORBIDDEN: &str = "the address is not a public one, and no allowed network has it";

/// How the TLS library begins what it says of a certificate that is not to be believed.
const UNTRUSTED: &str = "invalid peer certificate";

/// Where calls may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    networks: Vec<Network>,
    ports: Vec<u16>,
}

impl Guard {
    /// Public addresses over https on one of these ports, and besides anything in these networks.
    pub fn new(networks: Vec<Network>, ports: Vec<u16>) -> Self {
        Self { networks, ports }
    }

    /// Reads networks such as `10.0.0.0/8`, `fd00::/8` or `127.0.0.1`. The error says which is none.
    pub fn read(networks: &[impl AsRef<str>], ports: &[u16]) -> Result<Self, String> {
        let read = |text: &str| {
            text.parse()
                .map_err(|NotANetwork| format!("{text:?} is no network; write it as 10.0.0.0/8 or 127.0.0.1"))
        };
        let networks = networks.iter().map(|text| read(text.as_ref()));
        Ok(Self::new(networks.collect::<Result<_, _>>()?, ports.to_vec()))
    }

    /// Whether a call there can ever be made; the error says what is wrong with the URL. What a name leads to is seen
    /// only when it is called.
    pub fn check(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("must begin with https://HOST".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must have no name and password before the host".to_owned());
        }
        if let Some(address) = literal(url) {
            return if self.may_call(url, address) {
                Ok(())
            } else {
                Err(FORBIDDEN.to_owned())
            };
        }
        if self.networks.is_empty() && !self.is_usual(url) {
            let ports = self.ports.iter().map(ToString::to_string).collect::<Vec<_>>();
            return Err(format!(
                "must begin with https:// and have one of the ports {}",
                ports.join(", ")
            ));
        }
        Ok(())
    }

    fn may_call(&self, url: &Url, address: IpAddr) -> bool {
        self.has(address) || (self.is_usual(url) && is_public(address))
    }

    /// Whether it is a call that a public address may get.
    fn is_usual(&self, url: &Url) -> bool {
        url.scheme() == "https"
            && url
                .port_or_known_default()
                .is_some_and(|port| self.ports.contains(&port))
    }

    fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.has(address))
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// What came of a call that was guarded.
#[derive(Debug)]
pub enum Guarded {
    /// There was a status line.
    Answered(Answered),
    /// It may not be called at all.
    Forbidden(String),
    /// Its certificate is not to be believed.
    Untrusted(String),
    /// Nobody was reached, or there was no answer.
    Failed(String),
}

/// The way out for URLs from outside.
pub struct GuardedLine {
    guard: Guard,
    /// For calls that public addresses may get as well.
    wide: Line,
    /// For those that only allowed networks may get.
    narrow: Line,
}

impl GuardedLine {
    /// A way out with these limits.
    pub fn new(guard: Guard, limits: &CallLimits) -> Result<Self> {
        // It fails only when a provider of cryptography is installed already, which will then do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let line = |is_wide| {
            let resolver = Judge {
                guard: guard.clone(),
                is_wide,
            };
            Ok::<_, Error>(Line::over(client(limits, resolver)?, limits))
        };
        Ok(Self {
            wide: line(true)?,
            narrow: line(false)?,
            guard,
        })
    }

    /// The same, writing its calls down where there is a tape.
    pub fn taped(self, tape: Option<Tape>) -> Self {
        Self {
            wide: self.wide.taped(tape.clone()),
            narrow: self.narrow.taped(tape),
            guard: self.guard,
        }
    }

    /// Makes one call, if it may be made. Never repeats it, never follows a redirect.
    pub async fn call(&self, request: Request) -> Guarded {
        if let Err(reason) = self.guard.check(request.url()) {
            return Guarded::Forbidden(reason);
        }
        let line = if self.guard.is_usual(request.url()) {
            &self.wide
        } else {
            &self.narrow
        };
        match line.call(request).await {
            Reply::Answered(answered) => Guarded::Answered(answered),
            Reply::NeverLeft(reason) if reason == FORBIDDEN => Guarded::Forbidden(reason),
            Reply::NeverLeft(reason) if reason.starts_with(UNTRUSTED) => Guarded::Untrusted(reason),
            Reply::NeverLeft(reason) | Reply::Silence(reason) | Reply::Unsendable(reason) => {
                Guarded::Failed(reason)
            }
        }
    }
}

fn client(limits: &CallLimits, resolver: Judge) -> Result<Client> {
    Client::builder()
        .connect_timeout(limits.connect)
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
            Error::because(Kind::Usage, act, cause)
        })
}

/// Looks names up and keeps only addresses that may be called.
struct Judge {
    guard: Guard,
    is_wide: bool,
}

impl Resolve for Judge {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, is_wide) = (self.guard.clone(), self.is_wide);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed =
                |address: &SocketAddr| guard.has(address.ip()) || (is_wide && is_public(address.ip()));
            let kept = found.filter(allowed).collect::<Vec<_>>();
            if kept.is_empty() {
                return Err(Forbidden.into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

#[derive(Debug)]
struct Forbidden;

impl fmt::Display for Forbidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(FORBIDDEN)
    }
}

impl std::error::Error for Forbidden {}

/// An address and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// The text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| NotANetwork))?;
        (bits <= most)
            .then_some(Self { address, bits })
            .ok_or(NotANetwork)
    }
}

impl Network {
    fn has(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same_bits(
                u128::from(own.to_bits()) << 96,
                u128::from(other.to_bits()) << 96,
                self.bits,
            ),
            (IpAddr::V6(own), IpAddr::V6(other)) => same_bits(own.to_bits(), other.to_bits(), self.bits),
            _ => false,
        }
    }
}

fn same_bits(one: u128, other: u128, bits: u32) -> bool {
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
