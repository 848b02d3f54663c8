//! Signs and caches the provider token that authenticates the account to APNs.
//!
//! APNs refuses a token that is older than an hour. It also refuses an account that renews its token more often than
//! every twenty minutes. So if a token is refused, it is replaced once for all calls that used it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;

use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, Timestamp, saturating_add};
use postrider_core::error::{Error, Result};

use super::settings::ApnsSettings;
use crate::jwt::JwtKey;
use crate::token_renewal::TokenSource;

/// Time for which a token is used; APNs accepts a token for an hour.
const TOKEN_LIFETIME: Duration = Duration::from_secs(50 * 60);

/// Signs tokens and caches the newest token.
pub(super) struct ProviderTokenSigner {
    key: JwtKey,
    key_id: String,
    team_id: String,
    clock: Clock,
    cached_token: Mutex<Option<CachedProviderToken>>,
}

struct CachedProviderToken {
    text: Arc<str>,
    renew_at: Timestamp,
}

impl ProviderTokenSigner {
    /// Returns a signer. Signs nothing yet.
    pub fn new(apns_settings: &ApnsSettings, clock: Clock) -> Result<Self> {
        Ok(Self {
            key: JwtKey::from_p256_pem(&apns_settings.key).map_err(Error::usage)?,
            key_id: apns_settings.key_id.clone(),
            team_id: apns_settings.team_id.clone(),
            clock,
            cached_token: Mutex::default(),
        })
    }

    /// Returns a valid token other than `refused`, or the result of the message.
    pub fn valid_token(&self, refused: Option<&Arc<str>>) -> Result<Arc<str>, SendResult> {
        let mut cached_token = self.cached_token.lock();
        let now = self.clock.now();
        if let Some(token) = &*cached_token
            && now < token.renew_at
            && refused != Some(&token.text)
        {
            return Ok(Arc::clone(&token.text));
        }
        let header = json!({"alg": "ES256", "kid": self.key_id});
        let claims = json!({"iss": self.team_id, "iat": now.timestamp()});
        let token_text: Arc<str> = self.key.sign(&header, &claims).ok_or_else(signing_failed)?.into();
        let renew_at = saturating_add(now, TOKEN_LIFETIME);
        *cached_token = Some(CachedProviderToken { text: Arc::clone(&token_text), renew_at });
        Ok(token_text)
    }
}

#[async_trait]
impl TokenSource for ProviderTokenSigner {
    async fn token(&self, refused: Option<&Arc<str>>, _limit: Duration) -> Result<Arc<str>, SendResult> {
        self.valid_token(refused)
    }
}

fn signing_failed() -> SendResult {
    let reason = "cannot sign the provider token: no random numbers".to_owned();
    Outcome::Unavailable { reason }.into()
}
