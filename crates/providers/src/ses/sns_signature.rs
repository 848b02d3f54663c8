//! The envelope that receipts come in, and the check that SNS sealed it.
//!
//! Certificates come only from hosts that are SNS's by name, over TLS, and are kept by their URL. Nothing in a message is
//! believed before its signature is right and its topic is one of ours.

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

use crate::http_client::{HttpCallResult, HttpClient};
use crate::{CallbackError, CallbackRequest};

/// The oldest message that is believed, and how far its clock may be ahead.
const MESSAGE_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// The most certificates that are kept.
const CERTIFICATES_MAX: usize = 16;

/// The hosts of SNS.
static SNS_HOSTS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^sns\.[a-zA-Z0-9-]{3,}\.amazonaws\.com(\.cn)?$").ok());

/// A message of SNS, not believed yet.
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
    /// Reads a call, whatever content type it says it has, and refuses what is not of these topics, not of this hour or
    /// signed by a stranger's certificate.
    pub fn parse(call: &CallbackRequest, topics: &[String]) -> Result<Self, CallbackError> {
        let envelope: Self = serde_json::from_slice(&call.body).map_err(|_| {
            CallbackError::Malformed("this is no message of SNS; raw message delivery must be off".to_owned())
        })?;
        let at =
            DateTime::parse_from_rfc3339(&envelope.timestamp).map_err(|_| CallbackError::Unauthenticated)?;
        let age = (call.received_at - at.to_utc())
            .abs()
            .to_std()
            .unwrap_or(Duration::MAX);
        let fits = topics.contains(&envelope.topic_arn)
            && age <= MESSAGE_AGE_MAX
            && parse_sns_url(&envelope.certificate_url).is_some_and(|url| url.path().ends_with(".pem"));
        if fits {
            Ok(envelope)
        } else {
            Err(CallbackError::Unauthenticated)
        }
    }

    /// What is signed: names and values by line, in this order.
    fn signed_text(&self) -> String {
        let mut fields = vec![
            ("Message", Some(&self.message)),
            ("MessageId", Some(&self.message_id)),
        ];
        if self.kind == "Notification" {
            fields.push(("Subject", self.subject.as_ref()));
            fields.push(("Timestamp", Some(&self.timestamp)));
        } else {
            fields.push(("SubscribeURL", self.subscribe_url.as_ref()));
            fields.push(("Timestamp", Some(&self.timestamp)));
            fields.push(("Token", self.token.as_ref()));
        }
        fields.extend([("TopicArn", Some(&self.topic_arn)), ("Type", Some(&self.kind))]);
        let lines = fields
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}\n{}\n", value?)));
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
        certificate
            .verify_signature(algorithm, text.as_bytes(), &signature)
            .is_ok()
    }
}

/// The URL, if it is one of SNS's own.
fn parse_sns_url(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let hosts = SNS_HOSTS.as_ref()?;
    let fits = url.scheme() == "https" && url.port().is_none() && url.username().is_empty();
    (fits && hosts.is_match(url.host_str()?)).then_some(url)
}

/// RSA signatures over a digest, which the library beneath has and its trait wants.
#[derive(Debug)]
struct RsaVerifier {
    parameters: &'static RsaParameters,
    id: AlgorithmIdentifier,
}

static RSA_SHA256: RsaVerifier = RsaVerifier {
    parameters: &RSA_PKCS1_2048_8192_SHA256,
    id: alg_id::RSA_PKCS1_SHA256,
};

/// For topics that were not told to use signature version 2.
static RSA_SHA1: RsaVerifier = RsaVerifier {
    parameters: &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
    // sha1WithRSAEncryption, in DER.
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

/// What is needed to believe SNS.
pub(super) struct SnsVerifier {
    topics: Vec<String>,
    /// Where to ask instead of at SNS's own address.
    endpoint_override: Option<Url>,
    certificates: Mutex<HashMap<String, Arc<CertificateDer<'static>>>>,
    /// One fetch at a time: calls that anybody can make must not become a flood elsewhere.
    fetch_lock: tokio::sync::Mutex<()>,
}

impl SnsVerifier {
    /// For these topics.
    pub fn new(topics: Vec<String>, stand_in: Option<Url>) -> Self {
        Self {
            topics,
            endpoint_override: stand_in,
            certificates: Mutex::default(),
            fetch_lock: tokio::sync::Mutex::default(),
        }
    }

    /// Whether any topic is ours.
    pub fn is_configured(&self) -> bool {
        !self.topics.is_empty()
    }

    /// The message in a call, once it is sure who sealed it, by certificates that are known already.
    pub fn verify(&self, call: &CallbackRequest) -> Result<SnsMessage, CallbackError> {
        if !self.is_configured() {
            return Err(CallbackError::NotSupported);
        }
        let envelope = SnsMessage::parse(call, &self.topics)?;
        let unknown = || CallbackError::Unavailable("the signing certificate is not known yet".to_owned());
        let certificate = self
            .cached_certificate(&envelope.certificate_url)
            .ok_or_else(unknown)?;
        if envelope.is_signed_by(&certificate) {
            Ok(envelope)
        } else {
            Err(CallbackError::Unauthenticated)
        }
    }

    /// Gets the certificate that a call is signed with, unless it is known or the call is not to be believed anyway.
    pub async fn load_certificate(
        &self,
        call: &CallbackRequest,
        line: &HttpClient,
    ) -> Result<(), CallbackError> {
        if !self.is_configured() {
            return Err(CallbackError::NotSupported);
        }
        let envelope = SnsMessage::parse(call, &self.topics)?;
        let _turn = self.fetch_lock.lock().await;
        if self.cached_certificate(&envelope.certificate_url).is_some() {
            return Ok(());
        }
        let url = parse_sns_url(&envelope.certificate_url).ok_or(CallbackError::Unauthenticated)?;
        let body = self.fetch(url, line).await.map_err(CallbackError::Unavailable)?;
        let certificate =
            CertificateDer::from_pem_slice(&body).map_err(|_| CallbackError::Unauthenticated)?;
        let mut certificates = self.lock_certificates();
        if certificates.len() >= CERTIFICATES_MAX {
            certificates.clear();
        }
        certificates.insert(envelope.certificate_url, Arc::new(certificate));
        Ok(())
    }

    /// Says to SNS that we want what the topic has to say.
    pub async fn confirm_subscription(
        &self,
        envelope: &SnsMessage,
        line: &HttpClient,
    ) -> Result<(), CallbackError> {
        let url = envelope
            .subscribe_url
            .as_deref()
            .and_then(parse_sns_url)
            .ok_or(CallbackError::Unauthenticated)?;
        self.fetch(url, line).await.map_err(CallbackError::Unavailable)?;
        log::info!("receipts of {} are subscribed to", envelope.topic_arn);
        Ok(())
    }

    async fn fetch(&self, url: Url, line: &HttpClient) -> Result<Vec<u8>, String> {
        let mut request = Request::new(Method::GET, self.overridden_url(&url));
        if self.endpoint_override.is_some()
            && let Ok(host) = HeaderValue::from_str(url.host_str().unwrap_or_default())
        {
            request.headers_mut().insert(HOST, host);
        }
        match line.call(request).await {
            HttpCallResult::Response(answered) if answered.status == 200 => Ok(answered.body),
            HttpCallResult::Response(answered) => Err(format!("SNS answered {}", answered.status)),
            HttpCallResult::NotSent(why)
            | HttpCallResult::NoResponse(why)
            | HttpCallResult::InvalidRequest(why) => Err(format!("SNS cannot be reached: {why}")),
        }
    }

    /// The same place at the stand-in, where there is one.
    fn overridden_url(&self, url: &Url) -> Url {
        let Some(mut here) = self.endpoint_override.clone() else {
            return url.clone();
        };
        here.set_path(url.path());
        here.set_query(url.query());
        here
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
