//! The base URL of a provider's API.
//!
//! A base URL is a setting, so that tests and proxies can replace the provider. The path is never shown: it may contain
//! a secret.

use reqwest::Url;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use postrider_core::error::{Error, Result};

use crate::http_client::host_and_port;

/// An HTTP URL without query, fragment and credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl(Url);

impl BaseUrl {
    /// Parses a base URL. The error says how to write one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_base_url = |url: &Url| {
            let has_only_a_path =
                url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
            matches!(url.scheme(), "http" | "https") && url.has_host() && has_only_a_path
        };
        let base_url = Url::parse(text.trim()).ok().filter(is_base_url);
        base_url
            .map(Self)
            .ok_or_else(|| "invalid base URL; write https://HOST or https://HOST/PATH".to_owned())
    }

    /// Returns the configured URL, or else the provider's own.
    pub fn configured_or(configured: Option<&Self>, default: &str) -> Result<Self> {
        match configured {
            Some(url) => Ok(url.clone()),
            None => Self::parse(default).map_err(Error::usage),
        }
    }

    /// Returns the URL of a resource. Each segment is percent-encoded.
    pub fn resource_url(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Returns whether the scheme is https.
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns host and port.
    pub fn endpoint(&self) -> (String, u16) {
        host_and_port(&self.0)
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
