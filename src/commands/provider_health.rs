//! Circuit breaker states of the providers, read from `/v1/providers` of the running `console serve`.
//!
//! The server may not be running, or it may require an API key, of which the configuration contains only the hash. In
//! these cases the caller gets a text to print, and the command does not fail.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use postrider_core::printable::to_printable;
use postrider_engine::config::Config;

/// Maximum time for the response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Text of the circuit breaker state by provider name.
pub type ProviderHealthTexts = HashMap<String, String>;

#[derive(Deserialize)]
struct ProvidersResponse {
    providers: Vec<ProvidersResponseEntry>,
}

#[derive(Deserialize)]
struct ProvidersResponseEntry {
    name: String,
    circuit: String,
    detail: String,
}

/// Reads the states from the configured listen address. The error is a text for the operator.
pub async fn fetch_provider_health(config: &Config) -> Result<ProviderHealthTexts, String> {
    let address = replace_unspecified_ip(config.listen);
    let response = fetch_providers(address)
        .await
        .map_err(|problem| format!("circuit breaker state unavailable: {problem}"))?;
    Ok(response.providers.into_iter().map(format_provider_health).collect())
}

/// Returns whether a gateway answers at the configured listen address.
pub async fn is_gateway_running(config: &Config) -> bool {
    let address = replace_unspecified_ip(config.listen);
    let Ok(client) = build_client() else { return false };
    let Ok(response) = client.get(format!("http://{address}/healthz")).send().await else { return false };
    response.bytes().await.is_ok_and(|body| body.as_ref() == b"ok")
}

fn build_client() -> reqwest::Result<reqwest::Client> {
    // reqwest needs a crypto provider even for plain HTTP. This fails only if one was already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(RESPONSE_TIMEOUT).no_proxy().tls_certs_only([]).build()
}

async fn fetch_providers(address: SocketAddr) -> Result<ProvidersResponse, String> {
    let no_response = |_| format!("no response from `console serve` at http://{address}");
    let client = build_client().map_err(no_response)?;
    let request = client.get(format!("http://{address}/v1/providers"));
    let response = request.send().await.map_err(no_response)?;
    let http_status = response.status();
    if http_status == reqwest::StatusCode::UNAUTHORIZED {
        return Err(format!(
            "`console serve` at http://{address} requires an API key; open its page instead"
        ));
    }
    let providers_json = response.bytes().await.map_err(no_response)?;
    serde_json::from_slice(&providers_json)
        .map_err(|_| format!("unexpected response from http://{address} ({http_status})"))
}

fn format_provider_health(provider_entry: ProvidersResponseEntry) -> (String, String) {
    let health = if provider_entry.detail.is_empty() {
        provider_entry.circuit
    } else {
        format!("{}: {}", provider_entry.circuit, provider_entry.detail)
    };
    (provider_entry.name, to_printable(&health))
}

/// Returns the address to connect to: loopback for a server that listens on all addresses.
fn replace_unspecified_ip(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests;
