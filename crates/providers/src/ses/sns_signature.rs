//! Verifies the signature of SNS notifications.
//!
//! Certificates are fetched over TLS from SNS host names only, and cached by URL. A notification is accepted only with a
//! valid signature, a configured topic and a recent timestamp.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::DateTime;
use regex::Regex;
use reqwest::header::{HOST, HeaderValue};
use reqwest::{Method, Request, Url};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use serde::Deserialize;
use webpki::EndEntityCert;

use crate::http_client::HttpClient;
use crate::http_response::HttpCallResult;
use crate::{CallbackError, CallbackRequest};

/// Maximum difference between the timestamp of a notification and now, in both directions.
const MESSAGE_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// Maximum number of cached certificates.
const CERTIFICATES_MAX: usize = 16;

/// Host names of SNS.
static SNS_HOSTS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^sns\.[a-zA-Z0-9-]{3,}\.amazonaws\.com(\.cn)?$").ok());

/// An SNS notification whose signature is not verified.
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
    /// Parses a callback of any content type.
    ///
    /// # Errors
    ///
    /// Rejects another topic, an old timestamp and a certificate URL outside SNS.
    pub fn parse(request: &CallbackRequest, topics: &[String]) -> Result<Self, CallbackError> {
        let notification: Self = serde_json::from_slice(&request.body).map_err(|_| {
            CallbackError::Malformed("not an SNS notification; raw message delivery must be off".to_owned())
        })?;
        let at = DateTime::parse_from_rfc3339(&notification.timestamp)
            .map_err(|_| CallbackError::Unauthenticated)?;
        let age = (request.received_at - at.to_utc()).abs().to_std().unwrap_or(Duration::MAX);
        let is_acceptable = topics.contains(&notification.topic_arn)
            && age <= MESSAGE_AGE_MAX
            && parse_sns_url(&notification.certificate_url).is_some_and(|url| url.path().ends_with(".pem"));
        if is_acceptable { Ok(notification) } else { Err(CallbackError::Unauthenticated) }
    }

    /// Returns the signed text: names and values on lines of their own, in a fixed order.
    fn signed_text(&self) -> String {
        let mut fields = vec![("Message", Some(&self.message)), ("MessageId", Some(&self.message_id))];
        if self.kind == "Notification" {
            fields.push(("Subject", self.subject.as_ref()));
            fields.push(("Timestamp", Some(&self.timestamp)));
        } else {
            fields.push(("SubscribeURL", self.subscribe_url.as_ref()));
            fields.push(("Timestamp", Some(&self.timestamp)));
            fields.push(("Token", self.token.as_ref()));
        }
        fields.extend([("TopicArn", Some(&self.topic_arn)), ("Type", Some(&self.kind))]);
        let lines = fields.into_iter().filter_map(|(name, value)| Some(format!("{name}\n{}\n", value?)));
        lines.collect()
    }

    fn is_signed_by(&self, certificate: &CertificateDer<'_>) -> bool {
        let algorithm = match self.signature_version.as_str() {
            "1" => &RSA_SHA1,
            "2" => &RSA_SHA256,
            _ => return false,
        };
        let Ok(signature) = BASE64.decode(&self.signature) else {
            return false;
        };
        let Ok(certificate) = EndEntityCert::try_from(certificate) else {
            return false;
        };
        let text = self.signed_text();
        certificate.verify_signature(algorithm, text.as_bytes(), &signature).is_ok()
    }
}

/// Parses a URL; `None` unless its host is one of SNS.
fn parse_sns_url(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let hosts = SNS_HOSTS.as_ref()?;
    let is_plain_https = url.scheme() == "https" && url.port().is_none() && url.username().is_empty();
    (is_plain_https && hosts.is_match(url.host_str()?)).then_some(url)
}

/// RSA verification of *ring* behind the trait of webpki, which lacks RSA with SHA-1.
#[derive(Debug)]
struct RsaVerifier {
    parameters: &'static RsaParameters,
    id: AlgorithmIdentifier,
}

static RSA_SHA256: RsaVerifier =
    RsaVerifier { parameters: &RSA_PKCS1_2048_8192_SHA256, id: alg_id::RSA_PKCS1_SHA256 };

/// Default of topics, unless signature version 2 is set.
static RSA_SHA1: RsaVerifier = RsaVerifier {
    parameters: &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
    // sha1WithRSAEncryption in DER.
    id: AlgorithmIdentifier::from_slice(&[
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00,
    ]),
};

impl SignatureVerificationAlgorithm for RsaVerifier {
    fn verify_signature(&self, key: &[u8], text: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = UnparsedPublicKey::new(self.parameters, key);
        key.verify(text, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.id
    }
}

/// Verifies the notifications of the configured topics.
pub(super) struct SnsVerifier {
    topics: Vec<String>,
    /// Server to call instead of SNS, for tests.
    endpoint_override: Option<Url>,
    certificates: Mutex<HashMap<String, Arc<CertificateDer<'static>>>>,
    /// Limits fetches to one at a time, because unauthenticated callbacks cause them.
    fetch_lock: tokio::sync::Mutex<()>,
}

impl SnsVerifier {
    /// Creates a verifier for these topics.
    pub fn new(topics: Vec<String>, endpoint_override: Option<Url>) -> Self {
        Self {
            topics,
            endpoint_override,
            certificates: Mutex::default(),
            fetch_lock: tokio::sync::Mutex::default(),
        }
    }

    /// Returns whether topics are configured.
    pub fn is_configured(&self) -> bool {
        !self.topics.is_empty()
    }

    /// Returns the verified notification of a callback. Its certificate must be cached.
    pub fn verify(&self, request: &CallbackRequest) -> Result<SnsMessage, CallbackError> {
        if !self.is_configured() {
            return Err(CallbackError::NotSupported);
        }
        let notification = SnsMessage::parse(request, &self.topics)?;
        let not_fetched =
            || CallbackError::Unavailable("the signing certificate has not been fetched".to_owned());
        let certificate = self.cached_certificate(&notification.certificate_url).ok_or_else(not_fetched)?;
        if notification.is_signed_by(&certificate) {
            Ok(notification)
        } else {
            Err(CallbackError::Unauthenticated)
        }
    }

    /// Fetches the certificate of a callback, unless it is cached or the callback is rejected anyway.
    pub async fn load_certificate(
        &self,
        request: &CallbackRequest,
        client: &HttpClient,
    ) -> Result<(), CallbackError> {
        if !self.is_configured() {
            return Err(CallbackError::NotSupported);
        }
        let notification = SnsMessage::parse(request, &self.topics)?;
        let _guard = self.fetch_lock.lock().await;
        if self.cached_certificate(&notification.certificate_url).is_some() {
            return Ok(());
        }
        let url = parse_sns_url(&notification.certificate_url).ok_or(CallbackError::Unauthenticated)?;
        let body = self.fetch(url, client).await.map_err(CallbackError::Unavailable)?;
        let certificate =
            CertificateDer::from_pem_slice(&body).map_err(|_| CallbackError::Unauthenticated)?;
        let mut certificates = self.lock_certificates();
        if certificates.len() >= CERTIFICATES_MAX {
            certificates.clear();
        }
        certificates.insert(notification.certificate_url, Arc::new(certificate));
        Ok(())
    }

    /// Confirms a subscription to a topic.
    pub async fn confirm_subscription(
        &self,
        notification: &SnsMessage,
        client: &HttpClient,
    ) -> Result<(), CallbackError> {
        let url = notification
            .subscribe_url
            .as_deref()
            .and_then(parse_sns_url)
            .ok_or(CallbackError::Unauthenticated)?;
        self.fetch(url, client).await.map_err(CallbackError::Unavailable)?;
        log::info!("ses: SNS subscription confirmed topic_arn={}", notification.topic_arn);
        Ok(())
    }

    async fn fetch(&self, url: Url, client: &HttpClient) -> Result<Vec<u8>, String> {
        let mut request = Request::new(Method::GET, self.overridden_url(&url));
        if self.endpoint_override.is_some()
            && let Ok(host) = HeaderValue::from_str(url.host_str().unwrap_or_default())
        {
            request.headers_mut().insert(HOST, host);
        }
        match client.call(request).await {
            HttpCallResult::Response(response) if response.status == 200 => Ok(response.body),
            HttpCallResult::Response(response) => Err(format!("SNS answered {}", response.status)),
            HttpCallResult::NotSent(reason)
            | HttpCallResult::NoResponse(reason)
            | HttpCallResult::InvalidRequest(reason) => Err(format!("cannot call SNS: {reason}")),
        }
    }

    /// Returns the URL at the override server, if there is one.
    fn overridden_url(&self, url: &Url) -> Url {
        let Some(mut overridden) = self.endpoint_override.clone() else {
            return url.clone();
        };
        overridden.set_path(url.path());
        overridden.set_query(url.query());
        overridden
    }

    fn cached_certificate(&self, url: &str) -> Option<Arc<CertificateDer<'static>>> {
        self.lock_certificates().get(url).cloned()
    }

    fn lock_certificates(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<CertificateDer<'static>>>> {
        self.certificates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
