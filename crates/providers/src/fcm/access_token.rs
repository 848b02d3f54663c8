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

use super::settings::ServiceAccount;
use crate::http_client::HttpClient;
use crate::json_api::{JsonResponse, into_json_response};
use crate::jwt::JwtKey;
use crate::provider_text::sanitize_text;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, Timestamp, saturating_add};
use postrider_core::error::{Error, Result};

/// What a message hears whose time was up before there was a token.
pub(super) const TOKEN_TIMEOUT_REASON: &str = "there was no access token in time; nothing was sent";

/// What the token may be used for.
const OAUTH_SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// How long an assertion may be used, in seconds; the most that Google allows.
const ASSERTION_SECONDS: i64 = 3_600;

/// How long before its end a token is renewed.
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(300);

/// How long a token that says nothing of its end is used.
const DEFAULT_LIFETIME_SECONDS: u64 = 3_600;

/// How long the old token is used on after a renewal failed that came early enough.
const RENEWAL_RETRY: Duration = Duration::from_secs(10);

/// The way to an access token.
pub(super) struct AccessTokens {
    account: ServiceAccount,
    key: JwtKey,
    client: HttpClient,
    clock: Clock,
    cache: Mutex<AccessTokenCache>,
    /// How many renewals have failed.
    failed_renewals: AtomicU64,
}

#[derive(Default)]
struct AccessTokenCache {
    token: Option<AccessToken>,
    /// What the last renewal came to, where it failed.
    last_failure: Option<SendResult>,
}

struct AccessToken {
    text: Arc<str>,
    renew_at: Timestamp,
    expires_at: Timestamp,
}

#[derive(Serialize)]
struct AssertionHeader<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
}

#[derive(Serialize)]
struct AssertionClaims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

impl AccessTokens {
    /// No token is asked for yet.
    pub fn new(account: &ServiceAccount, line: HttpClient, clock: Clock) -> Result<Self> {
        Ok(Self {
            key: JwtKey::from_rsa_pem(&account.key).map_err(Error::usage)?,
            account: account.clone(),
            client: line,
            clock,
            cache: Mutex::default(),
            failed_renewals: AtomicU64::new(0),
        })
    }

    /// A token that is good, within `limit`; else what to answer for the message.
    pub async fn token(&self, limit: Duration) -> Result<Arc<str>, SendResult> {
        timeout(limit, self.valid_token(None))
            .await
            .unwrap_or_else(|_| Err(token_timeout()))
    }

    /// Another token than one that was refused. Whoever comes first renews it for all.
    pub async fn replace_token(&self, refused: &Arc<str>, limit: Duration) -> Result<Arc<str>, SendResult> {
        timeout(limit, self.valid_token(Some(refused)))
            .await
            .unwrap_or_else(|_| Err(token_timeout()))
    }

    async fn valid_token(&self, refused: Option<&Arc<str>>) -> Result<Arc<str>, SendResult> {
        let failures = self.failed_renewals.load(Ordering::Acquire);
        let mut kept = self.cache.lock().await;
        if let Some(refused) = refused {
            kept.token.take_if(|token| token.text == *refused);
        }
        let now = self.clock.now();
        if let Some(token) = kept.token.as_ref().filter(|token| now < token.renew_at) {
            return Ok(Arc::clone(&token.text));
        }
        let found = match &kept.last_failure {
            // It failed for somebody else while this one waited.
            Some(trouble) if self.failed_renewals.load(Ordering::Acquire) != failures => Err(trouble.clone()),
            _ => self.renew(now).await,
        };
        match found {
            Ok(token) => {
                kept.last_failure = None;
                Ok(Arc::clone(&kept.token.insert(token).text))
            }
            Err(trouble) => self.keep_old_token(&mut kept, trouble, now),
        }
    }

    /// Uses the old token on while it is good.
    fn keep_old_token(
        &self,
        kept: &mut AccessTokenCache,
        trouble: SendResult,
        now: Timestamp,
    ) -> Result<Arc<str>, SendResult> {
        self.failed_renewals.fetch_add(1, Ordering::AcqRel);
        kept.last_failure = Some(trouble.clone());
        let Some(token) = kept.token.as_mut().filter(|token| now < token.expires_at) else {
            return Err(trouble);
        };
        token.renew_at = saturating_add(now, RENEWAL_RETRY).min(token.expires_at);
        Ok(Arc::clone(&token.text))
    }

    async fn renew(&self, now: Timestamp) -> Result<AccessToken, SendResult> {
        let request = self.token_request(now).ok_or_else(|| {
            SendResult::from(Outcome::Unavailable {
                reason: "this machine has no random numbers to sign with".to_owned(),
            })
        })?;
        // Silence of this server says nothing about the message, which has not left.
        let heard = into_json_response(self.client.call(request).await).map_err(|answer| SendResult {
            outcome: Outcome::Unavailable {
                reason: sanitize_text(&format!(
                    "no access token: {}",
                    answer.outcome.reason().unwrap_or_default()
                )),
            },
            ..answer
        })?;
        let Some(text) = heard.str_at("/access_token").filter(|_| heard.status == 200) else {
            return Err(renewal_failure(&heard));
        };
        let life = heard
            .json
            .pointer("/expires_in")
            .and_then(serde_json::Value::as_u64);
        let life = Duration::from_secs(life.unwrap_or(DEFAULT_LIFETIME_SECONDS));
        Ok(AccessToken {
            text: text.into(),
            renew_at: saturating_add(now, life.saturating_sub(RENEW_BEFORE_EXPIRY)),
            expires_at: saturating_add(now, life),
        })
    }

    fn token_request(&self, now: Timestamp) -> Option<Request> {
        let header = AssertionHeader {
            alg: "RS256",
            typ: "JWT",
            kid: &self.account.key_id,
        };
        let claims = AssertionClaims {
            iss: &self.account.email,
            scope: OAUTH_SCOPE,
            aud: &self.account.audience,
            iat: now.timestamp(),
            exp: now.timestamp() + ASSERTION_SECONDS,
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", &self.key.sign(&header, &claims)?)
            .finish();
        let mut request = Request::new(Method::POST, self.account.token_url.resource_url(&[]));
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form_type);
        *request.body_mut() = Some(form.into());
        Some(request)
    }
}

fn token_timeout() -> SendResult {
    Outcome::Unavailable {
        reason: TOKEN_TIMEOUT_REASON.to_owned(),
    }
    .into()
}

/// 4xx is about our account (a wrong key, a deleted account, a clock that is wrong); the rest passes.
fn renewal_failure(heard: &JsonResponse) -> SendResult {
    let code = heard
        .str_at("/error")
        .map_or_else(|| heard.http_status_text(), str::to_owned);
    let theirs = heard.str_at("/error_description").unwrap_or(&code);
    let reason = sanitize_text(&format!("no access token: {theirs}"));
    let outcome = match heard.status {
        429 => Outcome::Throttled {
            retry_after: heard.retry_after(),
        },
        408 | 500.. | 200..300 => Outcome::Unavailable { reason },
        _ => Outcome::Misconfigured { reason },
    };
    SendResult {
        outcome,
        code: Some(sanitize_text(&code)),
    }
}
