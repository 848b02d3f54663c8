//! How the providers stand in the `serve` that runs now, as it tells at `/v1/providers`.
//!
//! Health lives in the running process only. When none answers, or it asks for a key (of which a configuration
//! holds nothing but the hash), that is said, and nothing fails.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use postrider_engine::config::Config;

/// How long the running `serve` may take to answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Health in words, by provider.
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

/// Asks whoever listens where the configuration says. The error is a sentence for the operator.
pub async fn fetch_provider_health(config: &Config) -> Result<ProviderHealthTexts, String> {
    let at = replace_unspecified_ip(config.listen);
    let answer = fetch_providers(at)
        .await
        .map_err(|why| format!("health now is not known: {why}"))?;
    Ok(answer.providers.into_iter().map(format_provider_health).collect())
}

async fn fetch_providers(at: SocketAddr) -> Result<ProvidersResponse, String> {
    let nobody = |_| format!("no `console serve` answers at http://{at}");
    // A client must have one even for plain http; it fails only when another is installed, which will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(RESPONSE_TIMEOUT)
        .no_proxy()
        .tls_certs_only([])
        .build()
        .map_err(nobody)?;
    let request = client.get(format!("http://{at}/v1/providers"));
    let answer = request.send().await.map_err(nobody)?;
    let status = answer.status();
    if status == reqwest::StatusCode::UNAUTHORIZED {
        return Err(format!(
            "the `console serve` at http://{at} asks for a key; open its page instead"
        ));
    }
    let body = answer.bytes().await.map_err(nobody)?;
    serde_json::from_slice(&body).map_err(|_| format!("something else answers at http://{at} ({status})"))
}

fn format_provider_health(line: ProvidersResponseEntry) -> (String, String) {
    let words = if line.detail.is_empty() {
        line.circuit
    } else {
        format!("{}: {}", line.circuit, line.detail)
    };
    (line.name, words)
}

/// Who listens everywhere is reached on loopback.
fn replace_unspecified_ip(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listen, at) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.7:80", "192.0.2.7:80"),
        ] {
            assert_eq!(
                replace_unspecified_ip(listen.parse().unwrap()),
                at.parse().unwrap()
            );
        }
    }

    #[test]
    fn what_serve_tells_is_read() {
        let told =
            br#"{"providers":[{"name":"blue","kind":"mock","circuit":"open","detail":"until 12:00"}]}"#;
        let answer: ProvidersResponse = serde_json::from_slice(told).unwrap();
        let health: ProviderHealthTexts = answer.providers.into_iter().map(format_provider_health).collect();
        assert_eq!(health["blue"], "open: until 12:00");
    }
}
