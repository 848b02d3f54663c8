//! Where a provider's interface begins, and where its receipts can come to.
//!
//! A base URL is configuration, so that a stand-in can be put there. Never shows a path, which may hold a secret.

use reqwest::Url;

use crate::AdapterContext;
pub(crate) use crate::json_api::BaseUrl;
use postrider_core::error::{Error, Result};

/// Reads where an interface begins; the error says how to write it.
pub(crate) fn parse_base_url(text: &str) -> Result<BaseUrl> {
    BaseUrl::parse(text).map_err(|wrong| Error::usage(format!("base_url: {wrong}")))
}

/// Where a provider's receipts come to, with a token that nobody can guess where one is configured.
pub(crate) fn callback_url(context: &AdapterContext, token: Option<&str>) -> String {
    let url = format!(
        "{}/v1/receipts/{}",
        context.public_url.trim_end_matches('/'),
        context.name
    );
    match token {
        Some(token) => {
            let token: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
            format!("{url}?token={token}")
        }
        None => url,
    }
}

/// Whether a provider out there can call this URL: they refuse a message whose callback has no real host, so it is left
/// out of requests then.
pub(crate) fn is_publicly_reachable(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    url.domain()
        .is_some_and(|host| host.contains('.') && !host.contains('_') && !host.ends_with(".localhost"))
}
