//! Verifies the signature of SNS notifications.
//!
//! Certificates are fetched over TLS from SNS host names only, and cached by URL. A notification is accepted only with a
//! valid signature, a configured topic and a recent timestamp. `rustls-webpki` parses the certificate and verifies RSA with
//! SHA-256; RSA with SHA-1 is missing there and comes from *ring*.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, TimeDelta};
use parking_lot::Mutex;
use reqwest::header::{HOST, HeaderValue};
use reqwest::{Method, Request, Url};
use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use serde::Deserialize;
use webpki::EndEntityCert;
use webpki::ring::RSA_PKCS1_2048_8192_SHA256;

use postrider_core::clock::Timestamp;

use super::settings::SesSettings;
use crate::base_url::BaseUrl;
use crate::callback::{CallbackError, CallbackRequest};
use crate::http_client::HttpClient;
use crate::http_response::HttpCallResult;

/// The type of the message that asks to confirm a subscription.
pub(super) const SUBSCRIPTION_CONFIRMATION: &str = "SubscriptionConfirmation";

/// Maximum difference between the timestamp of a notification and now, in both directions.
const SNS_MESSAGE_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// Maximum number of cached certificates.
const CERTIFICATES_MAX: usize = 16;

/// Time for which a failed fetch of a certificate is not repeated: one minute. SNS keeps repeating a notification for
/// longer than that.
const FAILED_FETCH_TTL: TimeDelta = TimeDelta::minutes(1);

/// Maximum number of stored failures. It is limited, because unauthenticated callbacks can cause failures.
const FAILED_FETCHES_MAX: usize = 1_000;

/// A message of SNS.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SnsMessage {
    #[serde(rename = "Type")]
    pub kind: String,
    message_id: String,
    topic_arn: String,
    subject: Option<String>,
    pub message: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    certificate_url: String,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
}

impl SnsMessage {
    /// Parses a callback of any content type. The signature is not verified.
    ///
    /// # Errors
    ///
    /// Rejects another topic, an old timestamp and a certificate URL outside SNS.
    fn parse_unverified(request: &CallbackRequest, topics: &[String]) -> Result<Self, CallbackError> {
        let notification: Self = serde_json::from_slice(&request.body).map_err(|_| {
            CallbackError::malformed("not an SNS notification; raw message delivery must be off")
        })?;
        let signed_at = DateTime::parse_from_rfc3339(&notification.timestamp)
            .map_err(|_| CallbackError::Unauthenticated)?;
        let age = (request.received_at - signed_at.to_utc()).abs().to_std().unwrap_or(Duration::MAX);
        let is_acceptable = topics.contains(&notification.topic_arn)
            && age <= SNS_MESSAGE_AGE_MAX
            && parse_sns_url(&notification.certificate_url).is_some_and(|url| url.path().ends_with(".pem"));
        if is_acceptable { Ok(notification) } else { Err(CallbackError::Unauthenticated) }
    }

    /// Returns the signed text: names and values on lines of their own, sorted by name.
    fn signed_text(&self) -> String {
        let fields = [
            ("Message", Some(&self.message)),
            ("MessageId", Some(&self.message_id)),
            ("Subject", self.subject.as_ref()),
            ("SubscribeURL", self.subscribe_url.as_ref()),
            ("Timestamp", Some(&self.timestamp)),
            ("Token", self.token.as_ref()),
            ("TopicArn", Some(&self.topic_arn)),
            ("Type", Some(&self.kind)),
        ];
        fields.into_iter().filter_map(|(name, value)| Some(format!("{name}\n{}\n", value?))).collect()
    }

    fn is_signed_by(&self, certificate: &CertificateDer<'_>) -> bool {
        let algorithm: &dyn SignatureVerificationAlgorithm = match self.signature_version.as_str() {
            "1" => &RsaSha1,
            "2" => RSA_PKCS1_2048_8192_SHA256,
            _ => return false,
        };
        let (Ok(signature), Ok(certificate)) =
            (BASE64.decode(&self.signature), EndEntityCert::try_from(certificate))
        else {
            return false;
        };
        certificate.verify_signature(algorithm, self.signed_text().as_bytes(), &signature).is_ok()
    }
}

/// Parses a URL of SNS: `https://sns.REGION.amazonaws.com/…`, or `.com.cn`. None for any other URL.
fn parse_sns_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let region_host = url.host_str()?.strip_prefix("sns.")?;
    let region =
        [".amazonaws.com", ".amazonaws.com.cn"].iter().find_map(|end| region_host.strip_suffix(end))?;
    let is_region = region.len() >= 3 && !region.contains(|character: char| !is_region_character(character));
    let is_plain_https = url.scheme() == "https" && url.port().is_none() && url.username().is_empty();
    (is_region && is_plain_https).then_some(url)
}

fn is_region_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '-'
}

/// RSA with SHA-1, the default of topics unless their signature version is 2.
#[derive(Debug)]
struct RsaSha1;

impl SignatureVerificationAlgorithm for RsaSha1 {
    fn verify_signature(&self, key: &[u8], text: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let rsa_key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key);
        rsa_key.verify(text, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    /// Returns sha1WithRSAEncryption in DER.
    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        AlgorithmIdentifier::from_slice(&[
            0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00,
        ])
    }
}

/// Verifies the notifications of the configured topics.
pub(super) struct SnsVerifier {
    topics: Vec<String>,
    /// Server to call instead of SNS, for tests.
    endpoint_override: Option<BaseUrl>,
    certificates: Mutex<HashMap<String, Arc<CertificateDer<'static>>>>,
    /// Certificate URLs that could not be fetched, with the time of the failure.
    failed_fetches: Mutex<HashMap<String, Timestamp>>,
    /// Allows one fetch at a time, because unauthenticated callbacks can cause fetches.
    fetch_lock: tokio::sync::Mutex<()>,
}

impl SnsVerifier {
    /// Returns a verifier for the topics of an account.
    pub fn new(settings: &SesSettings) -> Self {
        Self {
            topics: settings.topics.clone(),
            endpoint_override: settings.sns_url.clone(),
            certificates: Mutex::default(),
            failed_fetches: Mutex::default(),
            fetch_lock: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the verified notification of a callback. Its certificate must be cached.
    pub fn verify(&self, request: &CallbackRequest) -> Result<SnsMessage, CallbackError> {
        let notification = self.parse_unverified(request)?;
        let certificate = self.cached_certificate(&notification.certificate_url).ok_or_else(|| {
            CallbackError::Unavailable("the signing certificate has not been fetched".to_owned())
        })?;
        if notification.is_signed_by(&certificate) {
            Ok(notification)
        } else {
            Err(CallbackError::Unauthenticated)
        }
    }

    /// Fetches the certificate of a callback, unless the certificate is cached or the callback is rejected anyway.
    pub async fn load_certificate(
        &self,
        request: &CallbackRequest,
        client: &HttpClient,
    ) -> Result<(), CallbackError> {
        let certificate_url = self.parse_unverified(request)?.certificate_url;
        // A callback whose certificate is cached never waits for the fetches of other certificates.
        if self.is_fetch_settled(&certificate_url, request.received_at)? {
            return Ok(());
        }
        let _guard = self.lock_fetches().await;
        if self.is_fetch_settled(&certificate_url, request.received_at)? {
            return Ok(());
        }
        match self.fetch_certificate(&certificate_url, client).await {
            Ok(certificate) => {
                let mut certificates = self.certificates.lock();
                if certificates.len() >= CERTIFICATES_MAX {
                    certificates.clear();
                }
                certificates.insert(certificate_url, Arc::new(certificate));
                Ok(())
            }
            Err(error) => {
                self.note_failed_fetch(&certificate_url, request.received_at);
                Err(error)
            }
        }
    }

    /// Stores the failed fetch of a certificate.
    pub(super) fn note_failed_fetch(&self, certificate_url: &str, now: Timestamp) {
        let mut failed_fetches = self.failed_fetches.lock();
        if failed_fetches.len() >= FAILED_FETCHES_MAX {
            failed_fetches.clear();
        }
        failed_fetches.insert(certificate_url.to_owned(), now);
    }

    /// Waits until no certificate is being fetched, and delays further fetches until the guard is dropped.
    pub(super) async fn lock_fetches(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.fetch_lock.lock().await
    }

    /// Returns true when the certificate is cached, and an error when its fetch failed less than a minute ago.
    fn is_fetch_settled(&self, certificate_url: &str, now: Timestamp) -> Result<bool, CallbackError> {
        if self.cached_certificate(certificate_url).is_some() {
            return Ok(true);
        }
        let failed_at = self.failed_fetches.lock().get(certificate_url).copied();
        if failed_at.is_some_and(|failed_at| (now - failed_at).abs() < FAILED_FETCH_TTL) {
            let reason = "the signing certificate could not be fetched a moment ago";
            return Err(CallbackError::Unavailable(reason.to_owned()));
        }
        Ok(false)
    }

    async fn fetch_certificate(
        &self,
        certificate_url: &str,
        client: &HttpClient,
    ) -> Result<CertificateDer<'static>, CallbackError> {
        let certificate_pem = self.fetch(certificate_url, client).await?;
        CertificateDer::from_pem_slice(&certificate_pem).map_err(|_| CallbackError::Unauthenticated)
    }

    /// Confirms a subscription to a topic.
    pub async fn confirm_subscription(
        &self,
        notification: &SnsMessage,
        client: &HttpClient,
    ) -> Result<(), CallbackError> {
        self.fetch(notification.subscribe_url.as_deref().unwrap_or_default(), client).await?;
        log::info!("ses: SNS subscription confirmed topic_arn={}", notification.topic_arn);
        Ok(())
    }

    fn parse_unverified(&self, request: &CallbackRequest) -> Result<SnsMessage, CallbackError> {
        if self.topics.is_empty() {
            return Err(CallbackError::NotSupported);
        }
        SnsMessage::parse_unverified(request, &self.topics)
    }

    /// Fetches a URL of SNS.
    async fn fetch(&self, sns_url: &str, client: &HttpClient) -> Result<Vec<u8>, CallbackError> {
        let url = parse_sns_url(sns_url).ok_or(CallbackError::Unauthenticated)?;
        let failure = match client.call(self.fetch_request(url)).await {
            HttpCallResult::Response(response) if response.status == 200 => return Ok(response.body),
            HttpCallResult::Response(response) => format!("SNS answered {}", response.status),
            HttpCallResult::NotSent(reason)
            | HttpCallResult::NoResponse(reason)
            | HttpCallResult::InvalidRequest(reason) => format!("cannot call SNS: {reason}"),
        };
        Err(CallbackError::Unavailable(failure))
    }

    /// Returns the request for a URL of SNS, addressed to the override server if one is configured.
    fn fetch_request(&self, url: Url) -> Request {
        let Some(override_url) = &self.endpoint_override else {
            return Request::new(Method::GET, url);
        };
        let mut overridden = override_url.resource_url(&[]);
        overridden.set_path(url.path());
        overridden.set_query(url.query());
        let mut request = Request::new(Method::GET, overridden);
        if let Ok(host) = HeaderValue::from_str(url.host_str().unwrap_or_default()) {
            request.headers_mut().insert(HOST, host);
        }
        request
    }

    fn cached_certificate(&self, url: &str) -> Option<Arc<CertificateDer<'static>>> {
        self.certificates.lock().get(url).cloned()
    }
}

#[cfg(test)]
mod tests;
