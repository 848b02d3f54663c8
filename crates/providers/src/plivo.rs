//! Sends texts through Plivo's message resource, and reads its status callbacks and inbound texts.
//!
//! `codes.rs` is its table of codes, `signature.rs` the proof that it is Plivo who calls. It offers no idempotency key, so
//! a call that went silent is `Unknown`.

mod codes;
mod settings;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};

use super::http::retry_after;
use super::http_client::{BodyEnd, HttpClient, HttpResponse};
use super::settings_reader::parse_reference;
use super::sms::{self, CallbackFields, NonceCache, SmsCodeClass, join_reasons};
use super::{
    AdapterContext, CallbackError, CallbackMode, CallbackRequest, CallbackResponse, OutboundMessage, Provider,
};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::recipient::AddressKind;

pub use settings::PlivoSettings;

/// How long Plivo keeps what it cannot send: the least and the most that can be asked for, in seconds.
const EXPIRY_SECONDS: std::ops::Range<i64> = 5..10_800;

/// An account at Plivo.
pub struct Plivo {
    settings: PlivoSettings,
    url: Url,
    endpoint: (String, u16),
    authorization: HeaderValue,
    /// Where Plivo is to report to; none when it could not get there.
    callback_url: Option<String>,
    client: HttpClient,
    nonces: NonceCache,
}

impl Plivo {
    /// An account as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &PlivoSettings) -> Result<Self> {
        let base = settings.parsed_base_url()?;
        let callback = sms::callback_url(context, settings.receipts_token.as_deref());
        let account = settings.auth_id.as_str();
        Ok(Self {
            // Nothing behind the last slash, which has to be there.
            url: base.resource_url(&["v1", "Account", account, "Message", ""]),
            endpoint: base.endpoint(),
            authorization: sms::basic_auth(account, &settings.auth_token)?,
            callback_url: sms::is_publicly_reachable(&callback).then_some(callback),
            settings: settings.clone(),
            client: context.http_clients.client(&context.limits, base.is_secure())?,
            nonces: NonceCache::default(),
        })
    }

    fn send_request(&self, parcel: &OutboundMessage) -> Request {
        let mut document = json!({
            "dst": sms::without_plus(&parcel.to),
            "text": parcel.body,
            "type": "sms",
        });
        let settings = &self.settings;
        let left = sms::validity_seconds(
            parcel,
            Clock::System.now(),
            EXPIRY_SECONDS.start,
            EXPIRY_SECONDS.end,
        );
        let more = [
            (
                "src",
                settings.from.as_deref().map(sms::without_plus).map(Value::from),
            ),
            (
                "powerpack_uuid",
                settings.powerpack_uuid.as_deref().map(Value::from),
            ),
            ("url", self.callback_url.as_deref().map(Value::from)),
            ("method", self.callback_url.is_some().then(|| Value::from("POST"))),
            ("message_expiry", left.map(Value::from)),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                document[name] = value;
            }
        }
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, sms::JSON_CONTENT_TYPE);
        headers.insert(ACCEPT, sms::JSON_CONTENT_TYPE);
        *request.body_mut() = Some(document.to_string().into());
        request
    }
}

/// What an answer means. A refusal has words and no code, so the HTTP status decides.
fn send_result(answered: &HttpResponse) -> SendResult {
    let json: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    let theirs = json["error"].as_str();
    let theirs = theirs.map_or_else(|| sms::raw_reason(answered), ToOwned::to_owned);
    let id = json["message_uuid"][0].as_str().and_then(parse_reference);
    let outcome = match (answered.status, id) {
        (200..300, _) if answered.body_end != BodyEnd::Complete => sms::unknown_outcome(answered),
        (200..300, Some(id)) => Outcome::Accepted { reference: Some(id) },
        (200..300, None)
            if json["invalid_number"]
                .as_array()
                .is_some_and(|list| !list.is_empty()) =>
        {
            SmsCodeClass::InvalidRecipient.outcome("the number is not valid".to_owned(), None)
        }
        (200..300, None) => sms::unknown_outcome(answered),
        (400, _) if is_about_recipient_only(&theirs) => SmsCodeClass::InvalidRecipient.outcome(theirs, None),
        (400 | 409 | 422, _) => SmsCodeClass::Rejected.outcome(theirs, None),
        (402, _) => {
            SmsCodeClass::Misconfigured.outcome(join_reasons("there is not enough credit", &theirs), None)
        }
        (status, _) => sms::class_from_http_status(status).outcome(theirs, retry_after(&answered.headers)),
    };
    SendResult {
        outcome,
        code: Some(format!("HTTP {}", answered.status)),
    }
}

/// Whether the words speak of the recipient's number alone: that it is the sender's, too, is not its own fault.
fn is_about_recipient_only(theirs: &str) -> bool {
    let names = |word| {
        theirs
            .split(|letter: char| !letter.is_alphanumeric())
            .any(|one| one == word)
    };
    names("dst") && !names("src")
}

/// What a status callback or an inbound text says; nothing when it changes nothing.
fn parse_callback_fields(
    call: &CallbackRequest,
    fields: &CallbackFields,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let id = fields
        .get("ParentMessageUUID")
        .or_else(|| fields.get("MessageUUID"));
    let id = id
        .and_then(parse_reference)
        .ok_or_else(|| sms::malformed("there is no MessageUUID"))?;
    let at = call.received_at;
    let Some(status) = fields.get("Status") else {
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: Some(id),
            from: sms::with_plus(fields.require("From")?),
            to: fields.get("To").unwrap_or_default().to_owned(),
            body: fields.require("Text")?.to_owned(),
            at,
        })]);
    };
    let number = fields.get("ErrorCode").unwrap_or_default();
    let (class, ours) = codes::classify(number);
    let reason = join_reasons(&format!("{status} {number}"), ours);
    let verdict = match status {
        // One part of several says nothing of the message, unless it is the last.
        "delivered" => is_last_part(fields).then_some(ReceiptStatus::Delivered),
        "read" => Some(ReceiptStatus::Opened),
        "undelivered" | "failed" => Some(class.failed_receipt_status(reason)),
        "rejected" => Some(ReceiptStatus::Bounced { reason }),
        // On its way: queued, sent.
        _ => None,
    };
    let receipt = |verdict| {
        CallbackItem::Receipt(Receipt {
            reference: id,
            status: verdict,
            at,
        })
    };
    let mut incoming = Vec::from_iter(verdict.map(receipt));
    if class == SmsCodeClass::OptedOut {
        let who = fields.get("To").map(sms::with_plus);
        incoming.extend(who.map(|who| sms::opt_out_notice(&who, number, ours, at)));
    }
    Ok(incoming)
}

/// `PartInfo` is `2 of 3`; a message of one part may have none.
fn is_last_part(fields: &CallbackFields) -> bool {
    let info = fields.get("PartInfo").unwrap_or_default();
    let (part, parts) = info.split_once(" of ").unwrap_or_default();
    part.trim() == parts.trim()
}

#[async_trait]
impl Provider for Plivo {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        match sms::into_http_response(self.client.call(self.send_request(parcel)).await) {
            Ok(answered) => send_result(&answered),
            Err(none) => none,
        }
    }

    fn parse_callback_sync(&self, call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        if let Some(token) = &self.settings.receipts_token
            && !sms::has_valid_token(call, token)
        {
            return Err(CallbackError::Unauthenticated);
        }
        if !signature::is_valid(&self.settings.auth_token, call, &self.nonces) {
            return Err(CallbackError::Unauthenticated);
        }
        parse_callback_fields(call, &CallbackFields::from_callback(call)?)
    }

    fn callback_response(&self, _call: &CallbackRequest) -> Option<CallbackResponse> {
        Some(CallbackResponse::empty())
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
