//! Where a provider's interface begins, and where its receipts can come to.
//!
//! A base URL is configuration, so that a stand-in can be put there. Never shows a path, which may hold a secret.

use reqwest::Url;

use crate::error::{Error, Result};
use crate::provider::Site;

/// Where an interface begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::provider) struct Base(Url);

impl Base {
    /// Reads a URL without login and query; the error says how to write it.
    pub fn read(text: &str) -> Result<Self> {
        let url = Url::parse(text.trim()).ok();
        url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .filter(|url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty())
            .map(Self)
            .ok_or_else(|| {
                Error::usage("base_url: is no URL to begin with; write https://HOST or https://HOST/PATH")
            })
    }

    /// The URL of one of its resources, each part escaped; an empty last part leaves a slash at the end.
    pub fn at(&self, parts: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    /// Whether it is reached over TLS.
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Host and port.
    pub fn place(&self) -> (String, u16) {
        let host = self.0.host_str().unwrap_or_default().to_owned();
        (host, self.0.port_or_known_default().unwrap_or_default())
    }
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
