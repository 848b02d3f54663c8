//! Posts one signed call to one address from outside: what notifications and events have in common.
//!
//! Repeats nothing and decides nothing; who asks knows what the answer means.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use super::SigningSecrets;
use crate::egress_policy::{EgressClient, EgressPolicy, EgressResult};
use crate::http::retry_after;
use crate::settings_reader::sanitize_text;
use crate::{CallLimits, Transcript};
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;

/// The longest answer that is read, in bytes.
pub(super) const RESPONSE_BYTES_MAX: usize = 64 * 1024;

const ID_HEADER: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP_HEADER: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("webhook-signature");

/// The way to addresses from outside.
pub struct WebhookClient {
    client: EgressClient,
    egress_policy: EgressPolicy,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookResult {
    /// There was an answer.
    Response {
        /// Its status.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
        /// The beginning of its body, for the operator.
        body_excerpt: String,
    },
    /// The address may not be called.
    Forbidden(String),
    /// The certificate is not to be believed.
    UntrustedCertificate(String),
    /// Nobody was reached, or there was no answer.
    Failed(String),
}

/// What is posted.
pub struct WebhookRequest<'a> {
    /// Where to.
    pub url: &'a Url,
    /// With what it is signed.
    pub secrets: &'a SigningSecrets,
    /// The same however often it is sent; without a dot.
    pub id: &'a str,
    /// The body, JSON.
    pub body: Vec<u8>,
    /// The present.
    pub now: Timestamp,
}

impl WebhookClient {
    /// A way out with these limits that goes where `guard` lets it.
    pub fn new(guard: EgressPolicy, connect: Duration, call: Duration) -> Result<Self> {
        let limits = CallLimits {
            connect_timeout: connect,
            call_timeout: call,
            response_bytes_max: RESPONSE_BYTES_MAX,
        };
        Ok(Self {
            client: EgressClient::new(guard.clone(), &limits)?,
            egress_policy: guard,
        })
    }

    /// The same, writing its calls down where there is a tape.
    pub fn with_transcript(self, tape: Option<Transcript>) -> Self {
        Self {
            client: self.client.with_transcript(tape),
            egress_policy: self.egress_policy,
        }
    }

    /// The URL, if it can ever be called; else what is wrong with it.
    pub fn parse_url(&self, text: &str) -> Result<Url, String> {
        parse_url(&self.egress_policy, text)
    }

    /// Makes one call.
    pub async fn post(&self, letter: WebhookRequest<'_>) -> WebhookResult {
        let seconds = letter.now.timestamp();
        let signature = letter.secrets.sign(letter.id, seconds, &letter.body);
        let mut request = Request::new(Method::POST, letter.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(TIMESTAMP_HEADER, HeaderValue::from(seconds));
        for (name, text) in [(ID_HEADER, letter.id), (SIGNATURE_HEADER, &signature)] {
            let Ok(value) = HeaderValue::from_str(text) else {
                return WebhookResult::Failed("the call cannot be written as HTTP".to_owned());
            };
            headers.insert(name, value);
        }
        *request.body_mut() = Some(letter.body.into());
        match self.client.call(request).await {
            EgressResult::Response(answered) => WebhookResult::Response {
                status: answered.status,
                retry_after: retry_after(&answered.headers),
                body_excerpt: sanitize_text(&String::from_utf8_lossy(&answered.body)),
            },
            EgressResult::Forbidden(reason) => WebhookResult::Forbidden(reason),
            EgressResult::UntrustedCertificate(reason) => WebhookResult::UntrustedCertificate(reason),
            EgressResult::Failed(reason) => WebhookResult::Failed(reason),
        }
    }
}

/// The text as a URL that `guard` lets calls go to; else what is wrong with it.
pub fn parse_url(guard: &EgressPolicy, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|cause| format!("is not a URL ({cause})"))?;
    guard.check_url(&url)?;
    Ok(url)
}
