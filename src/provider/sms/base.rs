//! Where a provider's interface begins, and where its receipts can come to.
//!
//! A base URL is configuration, so that a stand-in can be put there. Never shows a path, which may hold a secret.

use reqwest::Url;

use crate::error::{Error, Result};
use crate::provider::Site;
pub(in crate::provider) use crate::provider::api::Base;

/// Reads where an interface begins; the error says how to write it.
pub(in crate::provider) fn base(text: &str) -> Result<Base> {
    Base::read(text).map_err(|wrong| Error::usage(format!("base_url: {wrong}")))
}

/// Where a provider's receipts come to, with a token that nobody can guess where one is configured.
pub(in crate::provider) fn callback(site: &Site<'_>, token: Option<&str>) -> String {
    let url = format!(
        "{}/v1/receipts/{}",
        site.public_url.trim_end_matches('/'),
        site.name
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
pub(in crate::provider) fn is_public(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    url.domain()
        .is_some_and(|host| host.contains('.') && !host.contains('_') && !host.ends_with(".localhost"))
}
