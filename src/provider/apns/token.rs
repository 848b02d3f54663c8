//! The token that proves the account to Apple: signed here, used for fifty minutes, then signed anew.
//!
//! Apple refuses one that is older than an hour, and an account that signs more often than every twenty minutes; so one
//! that was refused is replaced only once for all who used it. A token is never shown.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::settings::Settings;
use crate::clock::{Clock, Timestamp};
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::retry::later;
use crate::error::{Error, Result};
use crate::provider::jwt::Key;

/// How long a token is used; Apple takes it for an hour.
const LIFE: Duration = Duration::from_secs(50 * 60);

/// Signs tokens and keeps the newest.
pub(super) struct Signer {
    key: Key,
    key_id: String,
    team_id: String,
    clock: Clock,
    kept: Mutex<Option<Token>>,
}

struct Token {
    text: Arc<str>,
    renew_at: Timestamp,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: i64,
}

impl Signer {
    /// Nothing is signed yet.
    pub fn new(settings: &Settings, clock: Clock) -> Result<Self> {
        Ok(Self {
            key: Key::elliptic(&settings.key).map_err(Error::usage)?,
            key_id: settings.key_id.clone(),
            team_id: settings.team_id.clone(),
            clock,
            kept: Mutex::default(),
        })
    }

    /// A token that is good, other than one that was refused; else what to answer for the message.
    pub fn token(&self, refused: Option<&Arc<str>>) -> Result<Arc<str>, Answer> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let good = kept
            .as_ref()
            .filter(|token| now < token.renew_at && refused != Some(&token.text));
        if let Some(token) = good {
            return Ok(Arc::clone(&token.text));
        }
        let header = Header {
            alg: "ES256",
            kid: &self.key_id,
        };
        let claims = Claims {
            iss: &self.team_id,
            iat: now.timestamp(),
        };
        let text: Arc<str> = self.key.sign(&header, &claims).ok_or_else(no_luck)?.into();
        *kept = Some(Token {
            text: Arc::clone(&text),
            renew_at: later(now, LIFE),
        });
        Ok(text)
    }
}

fn no_luck() -> Answer {
    let reason = "this machine has no random numbers to sign with".to_owned();
    Outcome::Unavailable { reason }.into()
}
