//! The URL to which a provider posts its receipts.
//!
//! It contains the provider's token when one is configured, so it is sent to the provider only.

use reqwest::Url;

use crate::adapter_context::AdapterContext;

/// Returns the callback URL of the provider, with the token when one is configured.
pub(crate) fn callback_url(context: &AdapterContext, token: Option<&str>) -> String {
    let public_url = context.public_url.trim_end_matches('/');
    let url = format!("{public_url}/v1/receipts/{}", context.name);
    match token.map(|token| form_urlencoded::byte_serialize(token.as_bytes()).collect::<String>()) {
        Some(encoded_token) => format!("{url}?token={encoded_token}"),
        None => url,
    }
}

/// Returns whether a provider can call this URL. Providers refuse a message whose callback URL has no public host name,
/// so such a URL is left out of requests.
pub(crate) fn is_publicly_reachable(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    url.domain()
        .is_some_and(|host| host.contains('.') && !host.contains('_') && !host.ends_with(".localhost"))
}
