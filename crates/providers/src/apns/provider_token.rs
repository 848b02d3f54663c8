//! Signs and caches the provider token that authenticates the account to APNs.
//!
//! APNs refuses a token older than an hour, and an account that signs one more often than every twenty minutes. A refused
//! token is therefore replaced once for all calls that used it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::settings::ApnsSettings;
use crate::jwt::JwtKey;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, Timestamp, saturating_add};
use postrider_core::error::{Error, Result};

/// Time for which a token is used; APNs accepts it for an hour.
const TOKEN_LIFETIME: Duration = Duration::from_secs(50 * 60);

/// Signs tokens and caches the newest.
pub(super) struct ProviderTokenSigner {
    key: JwtKey,
    key_id: String,
    team_id: String,
    clock: Clock,
    cached: Mutex<Option<CachedProviderToken>>,
}

struct CachedProviderToken {
    text: Arc<str>,
    renew_at: Timestamp,
}

#[derive(Serialize)]
struct ProviderTokenHeader<'a> {
    alg: &'static str,
    kid: &'a str,
}

#[derive(Serialize)]
struct ProviderTokenClaims<'a> {
    iss: &'a str,
    iat: i64,
}

impl ProviderTokenSigner {
    /// Creates a signer. Signs nothing yet.
    pub fn new(settings: &ApnsSettings, clock: Clock) -> Result<Self> {
        Ok(Self {
            key: JwtKey::from_p256_pem(&settings.key).map_err(Error::usage)?,
            key_id: settings.key_id.clone(),
            team_id: settings.team_id.clone(),
            clock,
            cached: Mutex::default(),
        })
    }

    /// Returns a valid token other than `refused`, or the result of the message.
    pub fn token(&self, refused: Option<&Arc<str>>) -> Result<Arc<str>, SendResult> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let valid = cached.as_ref().filter(|token| now < token.renew_at && refused != Some(&token.text));
        if let Some(token) = valid {
            return Ok(Arc::clone(&token.text));
        }
        let header = ProviderTokenHeader { alg: "ES256", kid: &self.key_id };
        let claims = ProviderTokenClaims { iss: &self.team_id, iat: now.timestamp() };
        let text: Arc<str> = self.key.sign(&header, &claims).ok_or_else(signing_failed)?.into();
        *cached = Some(CachedProviderToken {
            text: Arc::clone(&text),
            renew_at: saturating_add(now, TOKEN_LIFETIME),
        });
        Ok(text)
    }
}

fn signing_failed() -> SendResult {
    let reason = "cannot sign the provider token: no random numbers".to_owned();
    Outcome::Unavailable { reason }.into()
}
