//! The secrets that sign webhooks.

use crate::config::{ApiKey, EventsConfig};
use postrider_providers::webhook::SigningSecrets;

/// Returns the secrets of the API key, otherwise those of `[events]`.
pub fn signing_secrets<'c>(
    events: &'c EventsConfig,
    api_key: Option<&'c ApiKey>,
) -> Option<&'c SigningSecrets> {
    let key_secrets = api_key.map(|key| &key.events.secrets);
    key_secrets.into_iter().chain([&events.secrets]).find(|secrets| !secrets.is_empty())
}
