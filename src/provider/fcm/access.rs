//! The access token of a service account: asked for with a signed assertion, kept, renewed before it ends.
//!
//! One renewal at a time serves everybody who waits for it, also when it fails. A token is never shown, and trouble with
//! it is never trouble with a message: without a token nothing has left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::settings::Account;
use crate::clock::{Clock, Timestamp};
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::retry::later;
use crate::error::{Error, Result};
use crate::provider::api::{Heard, answered};
use crate::provider::jwt::Key;
use crate::provider::outbound::Line;
use crate::provider::reading::words;

/// What a message hears whose time was up before there was a token.
pub(super) const LATE: &str = "there was no access token in time; nothing was sent";

/// What the token may be used for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// How long an assertion may be used, in seconds; the most that Google allows.
const ASSERTION_SECONDS: i64 = 3_600;

/// How long before its end a token is renewed.
const EARLY: Duration = Duration::from_secs(300);

/// How long a token that says nothing of its end is used.
const USUAL_LIFE_SECONDS: u64 = 3_600;

/// How long the old token is used on after a renewal failed that came early enough.
const RENEWAL_RETRY: Duration = Duration::from_secs(10);

/// The way to an access token.
pub(super) struct Access {
    account: Account,
    key: Key,
    line: Line,
    clock: Clock,
    kept: Mutex<Kept>,
    /// How many renewals have failed.
    failures: AtomicU64,
}

#[derive(Default)]
struct Kept {
    token: Option<Token>,
    /// What the last renewal came to, where it failed.
    trouble: Option<Answer>,
}

struct Token {
    text: Arc<str>,
    renew_at: Timestamp,
    ends_at: Timestamp,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

impl Access {
    /// No token is asked for yet.
    pub fn new(account: &Account, line: Line, clock: Clock) -> Result<Self> {
        Ok(Self {
            key: Key::rsa(&account.key).map_err(Error::usage)?,
            account: account.clone(),
            line,
            clock,
            kept: Mutex::default(),
            failures: AtomicU64::new(0),
        })
    }

    /// A token that is good, within `limit`; else what to answer for the message.
    pub async fn token(&self, limit: Duration) -> Result<Arc<str>, Answer> {
        timeout(limit, self.good(None))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// Another token than one that was refused. Whoever comes first renews it for all.
    pub async fn token_instead_of(&self, refused: &Arc<str>, limit: Duration) -> Result<Arc<str>, Answer> {
        timeout(limit, self.good(Some(refused)))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn good(&self, refused: Option<&Arc<str>>) -> Result<Arc<str>, Answer> {
        let failures = self.failures.load(Ordering::Acquire);
        let mut kept = self.kept.lock().await;
        if let Some(refused) = refused {
            kept.token.take_if(|token| token.text == *refused);
        }
        let now = self.clock.now();
        if let Some(token) = kept.token.as_ref().filter(|token| now < token.renew_at) {
            return Ok(Arc::clone(&token.text));
        }
        let found = match &kept.trouble {
            // It failed for somebody else while this one waited.
            Some(trouble) if self.failures.load(Ordering::Acquire) != failures => Err(trouble.clone()),
            _ => self.renew(now).await,
        };
        match found {
            Ok(token) => {
                kept.trouble = None;
                Ok(Arc::clone(&kept.token.insert(token).text))
            }
            Err(trouble) => self.endure(&mut kept, trouble, now),
        }
    }

    /// Uses the old token on while it is good.
    fn endure(&self, kept: &mut Kept, trouble: Answer, now: Timestamp) -> Result<Arc<str>, Answer> {
        self.failures.fetch_add(1, Ordering::AcqRel);
        kept.trouble = Some(trouble.clone());
        let Some(token) = kept.token.as_mut().filter(|token| now < token.ends_at) else {
            return Err(trouble);
        };
        token.renew_at = later(now, RENEWAL_RETRY).min(token.ends_at);
        Ok(Arc::clone(&token.text))
    }

    async fn renew(&self, now: Timestamp) -> Result<Token, Answer> {
        let request = self.request(now).ok_or_else(|| {
            Answer::from(Outcome::Unavailable {
                reason: "this machine has no random numbers to sign with".to_owned(),
            })
        })?;
        // Silence of this server says nothing about the message, which has not left.
        let heard = answered(self.line.call(request).await).map_err(|answer| Answer {
            outcome: Outcome::Unavailable {
                reason: words(&format!(
                    "no access token: {}",
                    answer.outcome.reason().unwrap_or_default()
                )),
            },
            ..answer
        })?;
        let Some(text) = heard.text("/access_token").filter(|_| heard.status == 200) else {
            return Err(refusal(&heard));
        };
        let life = heard
            .json
            .pointer("/expires_in")
            .and_then(serde_json::Value::as_u64);
        let life = Duration::from_secs(life.unwrap_or(USUAL_LIFE_SECONDS));
        Ok(Token {
            text: text.into(),
            renew_at: later(now, life.saturating_sub(EARLY)),
            ends_at: later(now, life),
        })
    }

    fn request(&self, now: Timestamp) -> Option<Request> {
        let header = Header {
            alg: "RS256",
            typ: "JWT",
            kid: &self.account.key_id,
        };
        let claims = Claims {
            iss: &self.account.email,
            scope: SCOPE,
            aud: &self.account.audience,
            iat: now.timestamp(),
            exp: now.timestamp() + ASSERTION_SECONDS,
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", &self.key.sign(&header, &claims)?)
            .finish();
        let mut request = Request::new(Method::POST, self.account.token_url.at(&[]));
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form_type);
        *request.body_mut() = Some(form.into());
        Some(request)
    }
}

fn late() -> Answer {
    Outcome::Unavailable {
        reason: LATE.to_owned(),
    }
    .into()
}

/// 4xx is about our account (a wrong key, a deleted account, a clock that is wrong); the rest passes.
fn refusal(heard: &Heard) -> Answer {
    let code = heard
        .text("/error")
        .map_or_else(|| heard.status_code(), str::to_owned);
    let theirs = heard.text("/error_description").unwrap_or(&code);
    let reason = words(&format!("no access token: {theirs}"));
    let outcome = match heard.status {
        429 => Outcome::Throttled {
            retry_after: heard.retry_after(),
        },
        408 | 500.. | 200..300 => Outcome::Unavailable { reason },
        _ => Outcome::Misconfigured { reason },
    };
    Answer {
        outcome,
        code: Some(words(&code)),
    }
}
