//! Sends mail through Amazon SES (API v2) and receives SES events as SNS notifications.
//!
//! Each call has one recipient, so that a bounce concerns one message. SES has no idempotency key; the delivery id is sent
//! as a tag.

mod callback;
mod codes;
mod settings;
mod sigv4;
mod sns_signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Request};
use serde_json::{Value, json};

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

use crate::adapter_context::AdapterContext;
use crate::base_url::BaseUrl;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest};
use crate::email_address::{encode_mailbox, parse_recipient, subject_or};
use crate::http_client::HttpClient;
use crate::json_api::{JSON_CONTENT_TYPE, into_json_response};
use crate::provider::{AccountCheck, OutboundMessage, Provider};
pub use settings::SesSettings;
use sns_signature::SnsVerifier;

/// The reason when a request cannot be signed.
const UNSIGNED_REASON: &str =
    "access_key_id, secret_access_key or session_token has invalid characters; copy them again";

/// An SES account.
pub struct Ses {
    settings: SesSettings,
    base_url: BaseUrl,
    client: HttpClient,
    sns: SnsVerifier,
    clock: Clock,
}

impl Ses {
    /// Returns the account that the settings describe.
    pub(super) fn new(context: &AdapterContext, ses_settings: &SesSettings) -> Result<Self> {
        Ok(Self {
            base_url: ses_settings.base_url()?,
            client: context.http_clients.client(&context.limits, ses_settings.is_secure()?)?,
            sns: SnsVerifier::new(ses_settings),
            settings: ses_settings.clone(),
            clock: context.clock.clone(),
        })
    }

    /// Returns the JSON document of a message.
    fn request(&self, message: &OutboundMessage, to: &str) -> Value {
        let subject = subject_or(message.subject.as_deref(), &self.settings.subject);
        let utf8_text = |text: &str| json!({ "Data": text, "Charset": "UTF-8" });
        let mut ses_document = json!({
            "FromEmailAddress": encode_mailbox(&self.settings.from),
            "Destination": { "ToAddresses": [to] },
            "Content": { "Simple": {
                "Subject": utf8_text(&subject),
                "Body": { "Text": utf8_text(&message.body) },
                "Headers": [{ "Name": "Auto-Submitted", "Value": "auto-generated" }],
            } },
            "EmailTags": [
                { "Name": "message", "Value": message.message_id.to_string() },
                { "Name": "delivery", "Value": format!("{}-{}", message.delivery_id, message.round) },
            ],
        });
        if let Some(reply_to) = &self.settings.reply_to {
            ses_document["ReplyToAddresses"] = json!([encode_mailbox(reply_to)]);
        }
        if let Some(configuration_set) = &self.settings.configuration_set {
            ses_document["ConfigurationSetName"] = json!(configuration_set);
        }
        ses_document
    }

    /// Returns a signed request; None when the credentials cannot be sent in a header.
    fn signed_request(&self, method: Method, resource: &str, document: Option<&Value>) -> Option<Request> {
        let url = self.base_url.resource_url(&["v2", "email", resource]);
        let mut request = Request::new(method, url);
        if let Some(document) = document {
            request.headers_mut().insert(CONTENT_TYPE, JSON_CONTENT_TYPE);
            *request.body_mut() = Some(document.to_string().into());
        }
        sigv4::sign(request, &self.settings, self.clock.now())
    }
}

#[async_trait]
impl Provider for Ses {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let Some(to) = parse_recipient(&message.to) else {
            let reason = "invalid email address".to_owned();
            return Outcome::Rejected { reason }.into();
        };
        let to = to.to_string();
        let document = self.request(message, &to);
        let Some(request) = self.signed_request(Method::POST, "outbound-emails", Some(&document)) else {
            return Outcome::Misconfigured { reason: UNSIGNED_REASON.to_owned() }.into();
        };
        match into_json_response(self.client.call(request).await) {
            Ok(response) => codes::send_result(&response, &to),
            Err(result) => result,
        }
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        self.sns.load_certificate(request, &self.client).await?;
        let notification = self.sns.verify(request)?;
        if notification.kind == sns_signature::SUBSCRIPTION_CONFIRMATION {
            self.sns.confirm_subscription(&notification, &self.client).await?;
        }
        callback::parse_callback(&notification, request.received_at)
    }

    /// Notifications contain the headers of the mail.
    fn callback_bytes_max(&self) -> usize {
        usize::MAX
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::authenticated_if(!self.settings.topics.is_empty())
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Email
    }

    fn endpoint(&self) -> (String, u16) {
        self.base_url.endpoint()
    }

    async fn check_account(&self) -> AccountCheck {
        let Some(request) = self.signed_request(Method::GET, "account", None) else {
            return AccountCheck::Failed(UNSIGNED_REASON.to_owned());
        };
        let (host, port) = self.endpoint();
        let response = match into_json_response(self.client.call(request).await) {
            Ok(response) => response,
            Err(result) => {
                let reason = result.outcome.reason().unwrap_or_default();
                return AccountCheck::Failed(format!("{host}:{port}: {reason}; check region"));
            }
        };
        if response.status != 200 {
            let (status, error) = (response.status, codes::error_message(&response));
            return AccountCheck::Failed(format!(
                "{host}:{port} answered {status}: {error}; check access_key_id, secret_access_key, region and the \
                 permission ses:GetAccount"
            ));
        }
        if response.json["SendingEnabled"] == false {
            return AccountCheck::Failed(
                "sending is disabled for this account (SendingEnabled is false); see the AWS console"
                    .to_owned(),
            );
        }
        AccountCheck::Passed(account_summary(&response.json))
    }
}

/// Summarises the account for an operator.
fn account_summary(account: &Value) -> String {
    let quota = |key: &str| account["SendQuota"][key].as_f64();
    let mut summary = "the credentials are valid".to_owned();
    if let (Some(sent_count), Some(daily_max)) = (quota("SentLast24Hours"), quota("Max24HourSend")) {
        summary.push_str(&format!("; {sent_count} of {daily_max} mails of the daily quota are sent"));
    }
    if let Some(rate) = quota("MaxSendRate") {
        summary.push_str(&format!(", at most {rate} a second"));
    }
    if account["ProductionAccessEnabled"] == false {
        summary.push_str("; the account is in the sandbox, which sends to verified addresses only");
    }
    summary.push_str("; the sender can only be tested by sending");
    summary
}
