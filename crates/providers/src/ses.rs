//! Sends mail through Amazon SES (API v2) and receives its events as SNS notifications.
//!
//! Each call has one recipient, so that a bounce concerns one message. SES has no idempotency key; the delivery id is sent
//! as a tag.

mod codes;
mod events;
mod settings;
mod sigv4;
mod sns_signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};

use super::email_address::{encode_mailbox, parse_recipient, subject_or};
use super::http_client::{HttpClient, host_and_port};
use super::json_api::{JSON_CONTENT_TYPE, into_json_response};
use super::{
    AccountCheck, AdapterContext, CallbackError, CallbackMode, CallbackRequest, OutboundMessage, Provider,
};
use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

pub use settings::SesSettings;
use sigv4::AwsCredentials;
use sns_signature::SnsVerifier;

/// An SES account.
pub struct Ses {
    settings: SesSettings,
    credentials: AwsCredentials,
    base_url: Url,
    sns: SnsVerifier,
    client: HttpClient,
    clock: Clock,
}

impl Ses {
    /// Creates the adapter.
    pub(super) fn new(context: &AdapterContext, settings: &SesSettings) -> Result<Self> {
        Ok(Self {
            credentials: settings.credentials(),
            base_url: settings.parsed_base_url()?,
            sns: SnsVerifier::new(settings.topics.clone(), settings.parsed_sns_url()?),
            settings: settings.clone(),
            client: context.http_clients.client(&context.limits, settings.is_secure())?,
            clock: context.clock.clone(),
        })
    }

    /// Returns a signed request; `None` when the credentials cannot be sent in a header.
    fn signed_request(&self, method: Method, path: &str, body: Option<String>) -> Option<Request> {
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        let mut request = Request::new(method, url);
        if let Some(body) = body {
            request.headers_mut().insert(CONTENT_TYPE, JSON_CONTENT_TYPE);
            *request.body_mut() = Some(body.into());
        }
        sigv4::sign(request, &self.credentials, self.clock.now())
    }

    fn email_json(&self, message: &OutboundMessage, to: &str) -> Value {
        let settings = &self.settings;
        let subject = subject_or(message.subject.as_deref(), &settings.subject);
        let text = |data: &str| json!({ "Data": data, "Charset": "UTF-8" });
        let mut email = json!({
            "FromEmailAddress": encode_mailbox(&settings.from),
            "Destination": { "ToAddresses": [to] },
            "Content": { "Simple": {
                "Subject": text(&subject),
                "Body": { "Text": text(&message.body) },
                "Headers": [{ "Name": "Auto-Submitted", "Value": "auto-generated" }],
            } },
            "EmailTags": [
                { "Name": "message", "Value": message.message_id.to_string() },
                { "Name": "delivery", "Value": format!("{}-{}", message.delivery_id, message.round) },
            ],
        });
        if let Some(reply_to) = &settings.reply_to {
            email["ReplyToAddresses"] = json!([encode_mailbox(reply_to)]);
        }
        if let Some(set) = &settings.configuration_set {
            email["ConfigurationSetName"] = json!(set);
        }
        email
    }
}

fn unsigned_reason() -> String {
    "access_key_id, secret_access_key or session_token has invalid characters; copy them again".to_owned()
}

#[async_trait]
impl Provider for Ses {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let Some(to) = parse_recipient(&message.to) else {
            let reason = "invalid email address".to_owned();
            return Outcome::InvalidRecipient { reason }.into();
        };
        let to = to.to_string();
        let body = self.email_json(message, &to).to_string();
        let Some(request) = self.signed_request(Method::POST, "/v2/email/outbound-emails", Some(body)) else {
            return Outcome::Misconfigured { reason: unsigned_reason() }.into();
        };
        match into_json_response(self.client.call(request).await) {
            Ok(response) => codes::send_result(&response, &to),
            Err(result) => result,
        }
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        self.sns.load_certificate(request, &self.client).await?;
        let notification = self.sns.verify(request)?;
        match notification.kind.as_str() {
            "Notification" => events::parse_event(&notification.message, request.received_at),
            "SubscriptionConfirmation" => {
                self.sns.confirm_subscription(&notification, &self.client).await?;
                Ok(Vec::new())
            }
            "UnsubscribeConfirmation" => {
                log::warn!("ses: SNS subscription removed, no receipts will arrive through it");
                Ok(Vec::new())
            }
            _ => Err(CallbackError::Malformed("unknown type of SNS message".to_owned())),
        }
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::authenticated_if(self.sns.is_configured())
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Email
    }

    fn endpoint(&self) -> (String, u16) {
        host_and_port(&self.base_url)
    }

    async fn check_account(&self) -> AccountCheck {
        let Some(request) = self.signed_request(Method::GET, "/v2/email/account", None) else {
            return AccountCheck::Failed(unsigned_reason());
        };
        let (host, port) = self.endpoint();
        let response = match into_json_response(self.client.call(request).await) {
            Ok(response) => response,
            Err(result) => {
                let reason = result.outcome.reason().unwrap_or_default();
                return AccountCheck::Failed(format!("{host}:{port}: {reason}; check region"));
            }
        };
        let account = &response.json;
        if response.status != 200 {
            let error = codes::error_message(&response);
            let status = response.status;
            return AccountCheck::Failed(format!(
                "{host}:{port} answered {status}: {error}; check access_key_id, secret_access_key, region and the \
                 permission ses:GetAccount"
            ));
        }
        if account["SendingEnabled"] == json!(false) {
            return AccountCheck::Failed(
                "sending is disabled for this account (SendingEnabled is false); see the AWS console"
                    .to_owned(),
            );
        }
        AccountCheck::Passed(account_summary(account))
    }
}

/// Summarises the account for an operator.
fn account_summary(account: &Value) -> String {
    let quota = |key: &str| account["SendQuota"][key].as_f64().map(|number| number.to_string());
    let mut summary = "the credentials are valid".to_owned();
    if let (Some(sent), Some(quota)) = (quota("SentLast24Hours"), quota("Max24HourSend")) {
        summary.push_str(&format!("; {sent} of {quota} mails of the daily quota are sent"));
    }
    if let Some(rate) = quota("MaxSendRate") {
        summary.push_str(&format!(", at most {rate} a second"));
    }
    if account["ProductionAccessEnabled"] == json!(false) {
        summary.push_str("; the account is in the sandbox, which sends to verified addresses only");
    }
    summary.push_str("; the sender can only be tested by sending");
    summary
}
