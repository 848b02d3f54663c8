//! Requests and caches the OAuth access token of a service account.
//!
//! A token is renewed before it expires. All calls that wait share one renewal and its failure. A failed renewal is never
//! an `Unknown` outcome, because nothing was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Request;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::settings::ServiceAccount;
use crate::http_client::HttpClient;
use crate::json_api::{JsonResponse, form_post_request, into_json_response};
use crate::jwt::JwtKey;
use crate::provider_text::sanitize_text;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, Timestamp, saturating_add};
use postrider_core::error::{Error, Result};

/// Reason of a message whose time limit passed before a token was available.
pub(super) const TOKEN_TIMEOUT_REASON: &str = "no access token within the time limit; nothing was sent";

/// Scope of the token.
const OAUTH_SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// Lifetime of an assertion in seconds, the maximum that Google allows.
const ASSERTION_SECONDS: i64 = 3_600;

/// Time before its expiry at which a token is renewed.
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(300);

/// Lifetime of a token without `expires_in`, in seconds.
const DEFAULT_LIFETIME_SECONDS: u64 = 3_600;

/// Delay before a failed renewal is repeated while the old token is valid.
const RENEWAL_RETRY: Duration = Duration::from_secs(10);

/// Provides the access token of an account.
pub(super) struct AccessTokens {
    account: ServiceAccount,
    key: JwtKey,
    client: HttpClient,
    clock: Clock,
    cache: Mutex<AccessTokenCache>,
    /// Number of failed renewals.
    failed_renewals: AtomicU64,
}

#[derive(Default)]
struct AccessTokenCache {
    token: Option<AccessToken>,
    /// Result of the last renewal, if it failed.
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
    /// Creates the cache. Requests no token yet.
    pub fn new(account: &ServiceAccount, client: HttpClient, clock: Clock) -> Result<Self> {
        Ok(Self {
            key: JwtKey::from_rsa_pem(&account.key).map_err(Error::usage)?,
            account: account.clone(),
            client,
            clock,
            cache: Mutex::default(),
            failed_renewals: AtomicU64::new(0),
        })
    }

    /// Returns a valid token within `limit`, or the result of the message.
    pub async fn token(&self, limit: Duration) -> Result<Arc<str>, SendResult> {
        timeout(limit, self.valid_token(None)).await.unwrap_or_else(|_| Err(token_timeout()))
    }

    /// Returns a token other than `refused`. The first caller renews it, the others wait.
    pub async fn replace_token(&self, refused: &Arc<str>, limit: Duration) -> Result<Arc<str>, SendResult> {
        timeout(limit, self.valid_token(Some(refused))).await.unwrap_or_else(|_| Err(token_timeout()))
    }

    async fn valid_token(&self, refused: Option<&Arc<str>>) -> Result<Arc<str>, SendResult> {
        let failures = self.failed_renewals.load(Ordering::Acquire);
        let mut cache = self.cache.lock().await;
        if let Some(refused) = refused {
            cache.token.take_if(|token| token.text == *refused);
        }
        let now = self.clock.now();
        if let Some(token) = cache.token.as_ref().filter(|token| now < token.renew_at) {
            return Ok(Arc::clone(&token.text));
        }
        let renewed = match &cache.last_failure {
            // The renewal failed while this call waited for it.
            Some(failure) if self.failed_renewals.load(Ordering::Acquire) != failures => Err(failure.clone()),
            _ => self.renew(now).await,
        };
        match renewed {
            Ok(token) => {
                cache.last_failure = None;
                Ok(Arc::clone(&cache.token.insert(token).text))
            }
            Err(failure) => self.keep_old_token(&mut cache, failure, now),
        }
    }

    /// Returns the old token while it is valid, else the failure.
    fn keep_old_token(
        &self,
        cache: &mut AccessTokenCache,
        failure: SendResult,
        now: Timestamp,
    ) -> Result<Arc<str>, SendResult> {
        self.failed_renewals.fetch_add(1, Ordering::AcqRel);
        cache.last_failure = Some(failure.clone());
        let Some(token) = cache.token.as_mut().filter(|token| now < token.expires_at) else {
            return Err(failure);
        };
        token.renew_at = saturating_add(now, RENEWAL_RETRY).min(token.expires_at);
        Ok(Arc::clone(&token.text))
    }

    async fn renew(&self, now: Timestamp) -> Result<AccessToken, SendResult> {
        let request = self.token_request(now).ok_or_else(|| {
            SendResult::from(Outcome::Unavailable {
                reason: "cannot sign the assertion: no random numbers".to_owned(),
            })
        })?;
        // A timeout of the token server concerns no message.
        let response = into_json_response(self.client.call(request).await).map_err(|failure| SendResult {
            outcome: Outcome::Unavailable {
                reason: sanitize_text(&format!(
                    "no access token: {}",
                    failure.outcome.reason().unwrap_or_default()
                )),
            },
            ..failure
        })?;
        let Some(text) = response.str_at("/access_token").filter(|_| response.status == 200) else {
            return Err(renewal_failure(&response));
        };
        let seconds = response.json.pointer("/expires_in").and_then(serde_json::Value::as_u64);
        let lifetime = Duration::from_secs(seconds.unwrap_or(DEFAULT_LIFETIME_SECONDS));
        Ok(AccessToken {
            text: text.into(),
            renew_at: saturating_add(now, lifetime.saturating_sub(RENEW_BEFORE_EXPIRY)),
            expires_at: saturating_add(now, lifetime),
        })
    }

    fn token_request(&self, now: Timestamp) -> Option<Request> {
        let header = AssertionHeader { alg: "RS256", typ: "JWT", kid: &self.account.key_id };
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
        Some(form_post_request(self.account.token_url.resource_url(&[]), form))
    }
}

fn token_timeout() -> SendResult {
    Outcome::Unavailable { reason: TOKEN_TIMEOUT_REASON.to_owned() }.into()
}

/// Returns the result of a failed renewal. A 4xx concerns the account: a wrong key, a deleted account, a wrong clock.
fn renewal_failure(response: &JsonResponse) -> SendResult {
    let code = response.str_at("/error").map_or_else(|| response.http_status_text(), str::to_owned);
    let description = response.str_at("/error_description").unwrap_or(&code);
    let reason = sanitize_text(&format!("no access token: {description}"));
    let outcome = match response.status {
        429 => Outcome::Throttled { retry_after: response.retry_after() },
        408 | 500.. | 200..300 => Outcome::Unavailable { reason },
        _ => Outcome::Misconfigured { reason },
    };
    SendResult { outcome, code: Some(sanitize_text(&code)) }
}
