//! Posts signed webhooks to untrusted URLs: messages and events.
//!
//! Makes each call once, never follows a redirect, and never connects to an address that the egress policy forbids. The
//! caller maps the response to an outcome.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, Request, Url};

use postrider_core::clock::Timestamp;
use postrider_core::error::Result;

use super::signature::SigningSecrets;
use crate::egress_policy::{EgressPolicy, FORBIDDEN_ADDRESS, PolicyResolver};
use crate::http_client::{HttpClient, client_builder, install_tls_provider, prepare_client};
use crate::http_response::{HttpCallResult, HttpResponse};
use crate::json_api::JSON_CONTENT_TYPE;
use crate::provider::CallLimits;
use crate::provider_text::sanitize_text;
use crate::transcript::Transcript;

/// Maximum size of a response body that is read, in bytes.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

const ID_HEADER: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP_HEADER: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("webhook-signature");

/// The beginning of the TLS library's message for an untrusted certificate.
const INVALID_CERTIFICATE_PREFIX: &str = "invalid peer certificate";

/// A client for untrusted URLs.
pub struct WebhookClient {
    egress_policy: EgressPolicy,
    /// Connects to public addresses and allowed networks.
    public_client: HttpClient,
    /// Connects to allowed networks only.
    allowed_networks_client: HttpClient,
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookResult {
    /// The endpoint responded.
    Response {
        /// The HTTP status.
        status: u16,
        /// The delay that the response requests.
        retry_after: Option<Duration>,
        /// The beginning of the body, sanitised.
        body_excerpt: String,
    },
    /// The egress policy forbids the URL.
    Forbidden(String),
    /// The endpoint's certificate is not trusted.
    UntrustedCertificate(String),
    /// There was no connection or no response.
    Failed(String),
}

/// The body of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The header `Content-Type`; empty without it.
    pub content_type: String,
    /// The body, at most 64 KiB; octets that are not UTF-8 are replaced.
    pub body: String,
}

impl WebhookAnswer {
    fn of(response: &HttpResponse) -> Self {
        let content_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Self {
            content_type: content_type.unwrap_or_default().to_ascii_lowercase(),
            body: String::from_utf8_lossy(&response.body).into_owned(),
        }
    }

    /// Returns the content type without parameters, in lower case.
    pub fn media_type(&self) -> &str {
        self.content_type.split(';').next().unwrap_or_default().trim()
    }
}

/// A webhook to post.
pub struct WebhookRequest<'a> {
    /// The endpoint.
    pub url: &'a Url,
    /// The secrets that sign the request.
    pub secrets: &'a SigningSecrets,
    /// The `webhook-id`: the same in every attempt, without a dot.
    pub id: &'a str,
    /// The JSON body.
    pub body: Vec<u8>,
    /// The time of the attempt.
    pub now: Timestamp,
}

impl WebhookClient {
    /// Returns a client with these time limits. It records its calls in the transcript, if there is one.
    pub fn new(
        egress_policy: EgressPolicy,
        connect_timeout: Duration,
        call_timeout: Duration,
        transcript: Option<&Transcript>,
    ) -> Result<Self> {
        install_tls_provider();
        let limits = CallLimits { connect_timeout, call_timeout, response_bytes_max: RESPONSE_BYTES_MAX };
        let client = |allows_public| {
            let resolver = PolicyResolver { policy: egress_policy.clone(), allows_public };
            let builder = client_builder(connect_timeout).redirect(Policy::none());
            prepare_client(builder.dns_resolver(Arc::new(resolver)))
                .map(|client| HttpClient::new(client, &limits, transcript.cloned()))
        };
        let (public_client, allowed_networks_client) = (client(true)?, client(false)?);
        Ok(Self { egress_policy, public_client, allowed_networks_client })
    }

    /// Parses a URL. The error is the reason why it can never be called.
    pub fn parse_url(&self, text: &str) -> Result<Url, String> {
        parse_url(&self.egress_policy, text)
    }

    /// Signs the webhook and posts it once.
    pub async fn post(&self, webhook: WebhookRequest<'_>) -> WebhookResult {
        let seconds = webhook.now.timestamp();
        let signature = webhook.secrets.sign(webhook.id, seconds, &webhook.body);
        let mut request = Request::new(Method::POST, webhook.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, JSON_CONTENT_TYPE);
        headers.insert(TIMESTAMP_HEADER, HeaderValue::from(seconds));
        for (name, text) in [(ID_HEADER, webhook.id), (SIGNATURE_HEADER, &signature)] {
            let Ok(value) = HeaderValue::from_str(text) else {
                return WebhookResult::Failed(format!("{name} is not valid in an HTTP header"));
            };
            headers.insert(name, value);
        }
        *request.body_mut() = Some(webhook.body.into());
        self.call(request).await
    }

    /// Makes a request once, under the same policy as [`WebhookClient::post`] and without its signature.
    pub async fn call(&self, request: Request) -> WebhookResult {
        self.call_for_answer(request).await.0
    }

    /// Makes a request like [`WebhookClient::call`] and also returns the answer, which is empty without a response.
    pub async fn call_for_answer(&self, request: Request) -> (WebhookResult, WebhookAnswer) {
        if let Err(reason) = self.egress_policy.check_url(request.url()) {
            return (WebhookResult::Forbidden(reason), WebhookAnswer::default());
        }
        let client = if self.egress_policy.is_https_on_allowed_port(request.url()) {
            &self.public_client
        } else {
            &self.allowed_networks_client
        };
        let result = match client.call(request).await {
            HttpCallResult::Response(response) => {
                let answer = WebhookAnswer::of(&response);
                let result = WebhookResult::Response {
                    status: response.status,
                    retry_after: response.retry_after(),
                    body_excerpt: sanitize_text(&answer.body),
                };
                return (result, answer);
            }
            HttpCallResult::NotSent(reason) if reason == FORBIDDEN_ADDRESS => {
                WebhookResult::Forbidden(reason)
            }
            HttpCallResult::NotSent(reason) if reason.starts_with(INVALID_CERTIFICATE_PREFIX) => {
                WebhookResult::UntrustedCertificate(reason)
            }
            HttpCallResult::NotSent(reason)
            | HttpCallResult::NoResponse(reason)
            | HttpCallResult::InvalidRequest(reason) => WebhookResult::Failed(reason),
        };
        (result, WebhookAnswer::default())
    }
}

/// Parses a URL. The error is the reason why the policy never allows it.
pub fn parse_url(egress_policy: &EgressPolicy, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|cause| format!("is not a URL ({cause})"))?;
    egress_policy.check_url(&url)?;
    Ok(url)
}
