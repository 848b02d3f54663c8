//! Sends texts through Twilio's Messages resource, and reads its status callbacks and inbound texts.
//!
//! `codes.rs` is its table of codes, `signature.rs` the proof that it is Twilio who calls. It offers no idempotency key,
//! so a call that went silent is `Unknown`.

mod codes;
mod settings;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::Value;

use super::http::retry_after;
use super::http_client::{BodyEnd, HttpClient, HttpResponse};
use super::settings_reader::parse_reference;
use super::sms::{self, CallbackFields, OptOutNotices, SmsCodeClass, join_reasons};
use super::{
    AdapterContext, CallbackError, CallbackMode, CallbackRequest, CallbackResponse, OutboundMessage, Provider,
};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::recipient::AddressKind;

pub use settings::TwilioSettings;

/// How long Twilio keeps what it cannot send, unless we say otherwise, and the longest it can be told, in seconds.
const VALIDITY_PERIOD_SECONDS_MAX: i64 = 36_000;

/// An account at Twilio.
pub struct Twilio {
    settings: TwilioSettings,
    url: Url,
    authorization: HeaderValue,
    /// Where Twilio is to report to; none when it could not get there.
    callback_url: Option<String>,
    endpoint: (String, u16),
    client: HttpClient,
    /// People who opted out at Twilio, as its refusals say.
    opt_out_notices: OptOutNotices,
}

impl Twilio {
    /// An account as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &TwilioSettings) -> Result<Self> {
        let base = settings.parsed_base_url()?;
        let callback = sms::callback_url(context, None);
        let account = settings.account_sid.as_str();
        let (user, password) = settings.credentials();
        Ok(Self {
            url: base.resource_url(&["2010-04-01", "Accounts", account, "Messages.json"]),
            authorization: sms::basic_auth(user, password)?,
            callback_url: sms::is_publicly_reachable(&callback).then_some(callback),
            endpoint: base.endpoint(),
            settings: settings.clone(),
            client: context.http_clients.client(&context.limits, base.is_secure())?,
            opt_out_notices: OptOutNotices::default(),
        })
    }

    fn send_request(&self, parcel: &OutboundMessage) -> Request {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("To", &parcel.to);
        if let Some(from) = &self.settings.from {
            form.append_pair("From", from);
        }
        if let Some(service) = &self.settings.messaging_service_sid {
            form.append_pair("MessagingServiceSid", service);
        }
        form.append_pair("Body", &parcel.body);
        if let Some(callback) = &self.callback_url {
            form.append_pair("StatusCallback", callback);
        }
        if let Some(seconds) =
            sms::validity_seconds(parcel, Clock::System.now(), 1, VALIDITY_PERIOD_SECONDS_MAX)
        {
            form.append_pair("ValidityPeriod", &seconds.to_string());
        }
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, sms::FORM_CONTENT_TYPE);
        headers.insert(ACCEPT, sms::JSON_CONTENT_TYPE);
        *request.body_mut() = Some(form.finish().into());
        request
    }
}

/// What an answer means.
fn send_result(answered: &HttpResponse) -> SendResult {
    let json: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    if (200..300).contains(&answered.status) {
        return accepted_result(answered, &json);
    }
    let code = json["code"].as_u64().map(|code| code.to_string());
    let theirs = json["message"].as_str();
    let theirs = theirs.map_or_else(|| sms::raw_reason(answered), ToOwned::to_owned);
    let (class, ours) = match &code {
        Some(code) => codes::classify(code, answered.status),
        None => (sms::class_from_http_status(answered.status), ""),
    };
    let retry_after = retry_after(&answered.headers);
    SendResult {
        outcome: class.outcome(join_reasons(ours, &theirs), retry_after),
        code: Some(code.unwrap_or_else(|| format!("HTTP {}", answered.status))),
    }
}

/// Twilio has it when the answer names the message and its status is none of the bad ones.
fn accepted_result(answered: &HttpResponse, json: &Value) -> SendResult {
    let code = json["error_code"].as_u64().map(|code| code.to_string());
    let status = json["status"].as_str().unwrap_or_default();
    let failed = matches!(status, "failed" | "undelivered" | "canceled");
    let sid = json["sid"].as_str().and_then(parse_reference);
    let outcome = match sid {
        _ if answered.body_end != BodyEnd::Complete => sms::unknown_outcome(answered),
        Some(_) if failed => {
            let number = code.as_deref().unwrap_or_default();
            let (class, ours) = codes::classify(number, 0);
            let theirs = json["error_message"].as_str().unwrap_or(status);
            class.outcome(join_reasons(ours, theirs), None)
        }
        Some(reference) => Outcome::Accepted {
            reference: Some(reference),
        },
        None => sms::unknown_outcome(answered),
    };
    let code = code.unwrap_or_else(|| format!("HTTP {}", answered.status));
    SendResult {
        outcome,
        code: Some(code),
    }
}

/// What a status callback or an inbound text says; none when it changes nothing.
fn parse_callback_fields(
    call: &CallbackRequest,
    fields: &CallbackFields,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let reference =
        |text: &str| parse_reference(text).ok_or_else(|| sms::malformed("the MessageSid is none"));
    let sid = fields.get("MessageSid").or_else(|| fields.get("SmsSid"));
    let sid = reference(sid.ok_or_else(|| sms::malformed("there is no MessageSid"))?)?;
    let status = fields.get("MessageStatus").or_else(|| fields.get("SmsStatus"));
    let status = status.unwrap_or("received");
    if status == "received" && fields.get("From").is_some() {
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: Some(sid),
            from: fields.require("From")?.to_owned(),
            to: fields.get("To").unwrap_or_default().to_owned(),
            body: fields.get("Body").unwrap_or_default().to_owned(),
            at: call.received_at,
        })]);
    }
    let code = fields.get("ErrorCode").unwrap_or_default();
    let (class, ours) = codes::classify(code, 0);
    let reason = join_reasons(&format!("{status} {code}"), ours);
    let verdict = match status {
        "delivered" => Some(ReceiptStatus::Delivered),
        "read" => Some(ReceiptStatus::Opened),
        "undelivered" | "failed" => Some(class.failed_receipt_status(reason)),
        "canceled" => Some(ReceiptStatus::Bounced { reason }),
        // On its way: accepted, scheduled, queued, sending, sent, and words that will come.
        _ => None,
    };
    let receipt = |verdict| {
        CallbackItem::Receipt(Receipt {
            reference: sid,
            status: verdict,
            at: call.received_at,
        })
    };
    let mut incoming = Vec::from_iter(verdict.map(receipt));
    if class == SmsCodeClass::OptedOut {
        let opted_out = |address| sms::opt_out_notice(address, code, ours, call.received_at);
        incoming.extend(fields.get("To").map(opted_out));
    }
    Ok(incoming)
}

#[async_trait]
impl Provider for Twilio {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        let answer = match sms::into_http_response(self.client.call(self.send_request(parcel)).await) {
            Ok(answered) => send_result(&answered),
            Err(none) => none,
        };
        let code = answer.code.as_deref().unwrap_or_default();
        if let (SmsCodeClass::OptedOut, words) = codes::classify(code, 0) {
            let incoming = sms::opt_out_notice(&parcel.to, code, words, Clock::System.now());
            self.opt_out_notices.push(incoming);
        }
        answer
    }

    async fn receive(&self) -> Vec<CallbackItem> {
        self.opt_out_notices.receive().await
    }

    fn parse_callback_sync(&self, call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        if !signature::is_valid(&self.settings.auth_token, call) {
            return Err(CallbackError::Unauthenticated);
        }
        parse_callback_fields(call, &CallbackFields::from_callback(call)?)
    }

    /// A document without any order: what stands in the answer to a text, Twilio would say to the person.
    fn callback_response(&self, _call: &CallbackRequest) -> Option<CallbackResponse> {
        Some(CallbackResponse {
            content_type: Some("text/xml"),
            body: "<Response/>".to_owned(),
        })
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::Authenticated
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn endpoint(&self) -> (String, u16) {
        self.endpoint.clone()
    }
}
