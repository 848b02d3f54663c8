//! The token that proves the account to Apple: signed here, used for fifty minutes, then signed anew.
//!
//! Apple refuses one that is older than an hour, and an account that signs more often than every twenty minutes; so one
//! that was refused is replaced only once for all who used it. A token is never shown.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::settings::ApnsSettings;
use crate::jwt::JwtKey;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, Timestamp, saturating_add};
use postrider_core::error::{Error, Result};

/// How long a token is used; Apple takes it for an hour.
const TOKEN_LIFETIME: Duration = Duration::from_secs(50 * 60);

/// Signs tokens and keeps the newest.
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
    /// Nothing is signed yet.
    pub fn new(settings: &ApnsSettings, clock: Clock) -> Result<Self> {
        Ok(Self {
            key: JwtKey::from_p256_pem(&settings.key).map_err(Error::usage)?,
            key_id: settings.key_id.clone(),
            team_id: settings.team_id.clone(),
            clock,
            cached: Mutex::default(),
        })
    }

    /// A token that is good, other than one that was refused; else what to answer for the message.
    pub fn token(&self, refused: Option<&Arc<str>>) -> Result<Arc<str>, SendResult> {
        let mut kept = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let good = kept
            .as_ref()
            .filter(|token| now < token.renew_at && refused != Some(&token.text));
        if let Some(token) = good {
            return Ok(Arc::clone(&token.text));
        }
        let header = ProviderTokenHeader {
            alg: "ES256",
            kid: &self.key_id,
        };
        let claims = ProviderTokenClaims {
            iss: &self.team_id,
            iat: now.timestamp(),
        };
        let text: Arc<str> = self.key.sign(&header, &claims).ok_or_else(signing_failed)?.into();
        *kept = Some(CachedProviderToken {
            text: Arc::clone(&text),
            renew_at: saturating_add(now, TOKEN_LIFETIME),
        });
        Ok(text)
    }
}

fn signing_failed() -> SendResult {
    let reason = "this machine has no random numbers to sign with".to_owned();
    Outcome::Unavailable { reason }.into()
}
