//! Requests and caches the OAuth access token of a service account.
//!
//! A token is renewed before it expires. All calls that wait share one renewal and its failure. A failed renewal is never
//! an `Unknown` outcome, because nothing was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Request;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::timeout;

use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, Timestamp, saturating_add};
use postrider_core::error::{Error, Result};

use super::settings::{FcmSettings, ServiceAccount};
use crate::base_url::BaseUrl;
use crate::http_client::HttpClient;
use crate::json_api::{JsonResponse, form_post_request, into_json_response};
use crate::jwt::JwtKey;
use crate::provider_text::sanitize_text;
use crate::token_renewal::{TokenSource, token_timeout};

/// Scope of the token.
const OAUTH_SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// Lifetime of an assertion in seconds, the maximum that Google allows.
const ASSERTION_SECONDS: i64 = 3_600;

/// Time before the expiry of a token at which it is renewed.
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(300);

/// Lifetime of a token without `expires_in`, in seconds.
const DEFAULT_LIFETIME_SECONDS: u64 = 3_600;

/// Delay before a failed renewal is repeated while the old token is valid.
const RENEWAL_RETRY: Duration = Duration::from_secs(10);

/// Provides the access token of an account.
pub(super) struct AccessTokens {
    account: ServiceAccount,
    key: JwtKey,
    token_url: BaseUrl,
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

impl AccessTokens {
    /// Returns an empty cache. Requests no token yet.
    pub fn new(fcm_settings: &FcmSettings, client: HttpClient, clock: Clock) -> Result<Self> {
        let account = &fcm_settings.service_account;
        Ok(Self {
            account: account.clone(),
            key: JwtKey::from_rsa_pem(&account.private_key).map_err(Error::usage)?,
            token_url: fcm_settings.token_url()?,
            client,
            clock,
            cache: Mutex::default(),
            failed_renewals: AtomicU64::new(0),
        })
    }

    /// Returns a token other than `refused`. The first caller that finds no valid token renews it; the others wait.
    async fn valid_token(&self, refused: Option<&Arc<str>>) -> Result<Arc<str>, SendResult> {
        let failures_before = self.failed_renewals.load(Ordering::Acquire);
        let mut cache = self.cache.lock().await;
        cache.token.take_if(|token| refused == Some(&token.text));
        let now = self.clock.now();
        if let Some(token) = cache.token.as_ref().filter(|token| now < token.renew_at) {
            return Ok(Arc::clone(&token.text));
        }
        let has_failed_meanwhile = self.failed_renewals.load(Ordering::Acquire) != failures_before;
        let renewed = match &cache.last_failure {
            Some(failure) if has_failed_meanwhile => Err(failure.clone()),
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

    /// Returns the old token while it is valid, otherwise the failure.
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
        let request = self.token_request(now).ok_or_else(signing_failed)?;
        let response = into_json_response(self.client.call(request).await).map_err(without_token)?;
        let Some(text) = response.str_at("/access_token").filter(|_| response.status == 200) else {
            return Err(renewal_failure(&response));
        };
        let lifetime_seconds = response.json["expires_in"].as_u64().unwrap_or(DEFAULT_LIFETIME_SECONDS);
        let lifetime = Duration::from_secs(lifetime_seconds);
        Ok(AccessToken {
            text: text.into(),
            renew_at: saturating_add(now, lifetime.saturating_sub(RENEW_BEFORE_EXPIRY)),
            expires_at: saturating_add(now, lifetime),
        })
    }

    fn token_request(&self, now: Timestamp) -> Option<Request> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.account.private_key_id});
        let claims = json!({
            "iss": self.account.client_email,
            "scope": OAUTH_SCOPE,
            "aud": self.account.token_uri,
            "iat": now.timestamp(),
            "exp": now.timestamp() + ASSERTION_SECONDS,
        });
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", &self.key.sign(&header, &claims)?)
            .finish();
        Some(form_post_request(self.token_url.resource_url(&[]), form))
    }
}

#[async_trait]
impl TokenSource for AccessTokens {
    async fn token(&self, refused: Option<&Arc<str>>, limit: Duration) -> Result<Arc<str>, SendResult> {
        timeout(limit, self.valid_token(refused)).await.unwrap_or_else(|_| Err(token_timeout()))
    }
}

fn signing_failed() -> SendResult {
    let reason = "cannot sign the assertion: no random numbers".to_owned();
    Outcome::Unavailable { reason }.into()
}

/// Returns the result of a message for which the token request got no response. It is never `Unknown`, because nothing
/// was sent.
fn without_token(failure: SendResult) -> SendResult {
    let reason = format!("no access token: {}", failure.outcome.reason().unwrap_or_default());
    SendResult { outcome: Outcome::Unavailable { reason: sanitize_text(&reason) }, ..failure }
}

/// Returns the result of a failed renewal. A 4xx concerns the account: a wrong key, a deleted account, a wrong clock.
fn renewal_failure(response: &JsonResponse) -> SendResult {
    let oauth_error = response.str_at("/error").map_or_else(|| response.http_status_text(), str::to_owned);
    let description = response.str_at("/error_description").unwrap_or(&oauth_error);
    let reason = sanitize_text(&format!("no access token: {description}"));
    let outcome = match response.status {
        429 => Outcome::Throttled { retry_after: response.retry_after() },
        408 | 500.. | 200..300 => Outcome::Unavailable { reason },
        _ => Outcome::Misconfigured { reason },
    };
    SendResult { outcome, code: Some(sanitize_text(&oauth_error)) }
}
