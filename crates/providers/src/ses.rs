//! Sends mails through Amazon's service for mail (SES, version 2 of its interface), and hears its events through SNS.
//!
//! `sign.rs` signs requests, `codes.rs` says what answers mean, `sns.rs` checks who calls and `events.rs` reads what they
//! say. One recipient a call, so that a bounce speaks of one message. The service knows no key that would keep a
//! repetition from being sent twice; our ids travel as tags.

mod codes;
mod events;
mod settings;
mod sigv4;
mod sns_signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};

use super::email_address::{encode_mailbox, parse_recipient, single_line};
use super::http_client::{HttpCallResult, HttpClient, host_and_port};
use super::{
    AccountCheck, AdapterContext, CallbackError, CallbackMode, CallbackRequest, OutboundMessage, Provider,
};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;
use postrider_core::recipient::AddressKind;

pub use settings::SesSettings;
use sigv4::AwsCredentials;
use sns_signature::SnsVerifier;

/// An account there.
pub struct Ses {
    settings: SesSettings,
    credentials: AwsCredentials,
    base_url: Url,
    sns: SnsVerifier,
    client: HttpClient,
}

impl Ses {
    /// An account as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &SesSettings) -> Result<Self> {
        Ok(Self {
            credentials: settings.credentials(),
            base_url: settings.parsed_base_url()?,
            sns: SnsVerifier::new(settings.topics.clone(), settings.parsed_sns_url()?),
            settings: settings.clone(),
            client: context
                .http_clients
                .client(&context.limits, settings.is_secure())?,
        })
    }

    fn signed_request(&self, method: Method, path: &str, body: Option<String>) -> Option<Request> {
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        let mut request = Request::new(method, url);
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            *request.body_mut() = Some(body.into());
        }
        sigv4::sign(request, &self.credentials, Clock::System.now())
    }

    fn email_json(&self, parcel: &OutboundMessage, to: &str) -> Value {
        let settings = &self.settings;
        let subject = parcel
            .subject
            .as_deref()
            .map(single_line)
            .filter(|subject| !subject.is_empty());
        let text = |data: &str| json!({ "Data": data, "Charset": "UTF-8" });
        let mut mail = json!({
            "FromEmailAddress": encode_mailbox(&settings.from),
            "Destination": { "ToAddresses": [to] },
            "Content": { "Simple": {
                "Subject": text(subject.as_deref().unwrap_or(&settings.subject)),
                "Body": { "Text": text(&parcel.body) },
                "Headers": [{ "Name": "Auto-Submitted", "Value": "auto-generated" }],
            } },
            "EmailTags": [
                { "Name": "message", "Value": parcel.message_id.to_string() },
                { "Name": "delivery", "Value": format!("{}-{}", parcel.delivery_id, parcel.round) },
            ],
        });
        if let Some(reply_to) = &settings.reply_to {
            mail["ReplyToAddresses"] = json!([encode_mailbox(reply_to)]);
        }
        if let Some(set) = &settings.configuration_set {
            mail["ConfigurationSetName"] = json!(set);
        }
        mail
    }
}

fn unsigned_reason() -> String {
    "the credentials cannot be sent; copy them again".to_owned()
}

#[async_trait]
impl Provider for Ses {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        let Some(to) = parse_recipient(&parcel.to) else {
            let reason = "this is no address of a mailbox".to_owned();
            return Outcome::InvalidRecipient { reason }.into();
        };
        let to = to.to_string();
        let body = self.email_json(parcel, &to).to_string();
        let Some(request) = self.signed_request(Method::POST, "/v2/email/outbound-emails", Some(body)) else {
            return Outcome::Misconfigured {
                reason: unsigned_reason(),
            }
            .into();
        };
        match self.client.call(request).await {
            HttpCallResult::Response(answered) => codes::send_result(&answered, &to),
            HttpCallResult::NotSent(reason) => Outcome::Unavailable { reason }.into(),
            HttpCallResult::NoResponse(reason) => Outcome::Unknown { reason }.into(),
            HttpCallResult::InvalidRequest(reason) => Outcome::Rejected { reason }.into(),
        }
    }

    fn parse_callback_sync(&self, call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        let envelope = self.sns.verify(call)?;
        match envelope.kind.as_str() {
            "Notification" => events::parse_event(&envelope.message, call.received_at),
            "SubscriptionConfirmation" => Ok(Vec::new()),
            "UnsubscribeConfirmation" => {
                log::warn!("a subscription to receipts of SES was ended; no more will come through it");
                Ok(Vec::new())
            }
            _ => Err(CallbackError::Malformed(
                "this kind of SNS message is unknown".to_owned(),
            )),
        }
    }

    async fn parse_callback(&self, call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        self.sns.load_certificate(call, &self.client).await?;
        let envelope = self.sns.verify(call)?;
        if envelope.kind == "SubscriptionConfirmation" {
            self.sns.confirm_subscription(&envelope, &self.client).await?;
        }
        self.parse_callback_sync(call)
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
        let answered = match self.client.call(request).await {
            HttpCallResult::Response(answered) => answered,
            HttpCallResult::NotSent(why)
            | HttpCallResult::NoResponse(why)
            | HttpCallResult::InvalidRequest(why) => {
                return AccountCheck::Failed(format!(
                    "{host}:{port} cannot be asked: {why}; is region right?"
                ));
            }
        };
        let account: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
        if answered.status != 200 {
            let said = codes::error_message(Some(&account), &answered.body);
            let status = answered.status;
            return AccountCheck::Failed(format!(
                "{host}:{port} answered {status}: {said}; are access_key_id, secret_access_key and region right, and may \
                 they ses:GetAccount?"
            ));
        }
        if account["SendingEnabled"] == json!(false) {
            return AccountCheck::Failed(
                "the account may not send now (SendingEnabled is false); see its console".to_owned(),
            );
        }
        AccountCheck::Passed(account_summary(&account))
    }
}

/// What the account says of itself.
fn account_summary(account: &Value) -> String {
    let quota = |key: &str| {
        account["SendQuota"][key]
            .as_f64()
            .map(|number| number.to_string())
    };
    let mut words = "the credentials work".to_owned();
    if let (Some(sent), Some(most)) = (quota("SentLast24Hours"), quota("Max24HourSend")) {
        words.push_str(&format!("; {sent} of {most} mails of a day are sent"));
    }
    if let Some(rate) = quota("MaxSendRate") {
        words.push_str(&format!(", {rate} a second at most"));
    }
    if account["ProductionAccessEnabled"] == json!(false) {
        words.push_str("; it is in the sandbox, which sends to verified addresses only");
    }
    words.push_str("; whether the sender is verified shows only in a send");
    words
}
