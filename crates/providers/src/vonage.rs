//! Sends texts through Vonage's SMS API, and reads its delivery receipts and inbound texts.
//!
//! `codes.rs` is its tables of codes, `signature.rs` the proof that it is Vonage who calls. It offers no idempotency key,
//! so a call that went silent is `Unknown`.

mod codes;
mod segments;
mod settings;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use chrono::NaiveDateTime;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Request, Url};
use serde_json::Value;

use super::http::retry_after;
use super::http_client::{BodyEnd, HttpClient, HttpResponse};
use super::settings_reader::parse_reference;
use super::sms::{self, CallbackFields, NonceCache, SmsCodeClass, join_reasons};
use super::{
    AdapterContext, CallbackError, CallbackMode, CallbackRequest, CallbackResponse, OutboundMessage, Provider,
};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, Timestamp};
use postrider_core::error::Result;
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::recipient::AddressKind;
use postrider_core::text_parts::{Alphabet, count_parts};

use segments::VonageSegments;
pub use settings::VonageSettings;

/// How long a message is tried at the carrier, in milliseconds: the least and the most that can be asked for.
const TTL_MS: std::ops::Range<i64> = 20_000..604_800_000;

/// An account at Vonage.
pub struct Vonage {
    settings: VonageSettings,
    url: Url,
    endpoint: (String, u16),
    /// Where Vonage is to report to; none when it could not get there.
    callback_url: Option<String>,
    client: HttpClient,
    segments: VonageSegments,
    nonces: NonceCache,
}

impl Vonage {
    /// An account as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &VonageSettings) -> Result<Self> {
        let base = settings.parsed_base_url()?;
        let callback = sms::callback_url(context, settings.receipts_token.as_deref());
        let reports = settings.has_authenticated_callbacks() && sms::is_publicly_reachable(&callback);
        Ok(Self {
            url: base.resource_url(&["sms", "json"]),
            endpoint: base.endpoint(),
            callback_url: reports.then_some(callback),
            settings: settings.clone(),
            client: context.http_clients.client(&context.limits, base.is_secure())?,
            segments: VonageSegments::default(),
            nonces: NonceCache::default(),
        })
    }

    fn send_request(&self, parcel: &OutboundMessage) -> Request {
        let kind = match count_parts(&parcel.body).alphabet {
            Alphabet::Gsm7 => "text",
            Alphabet::Ucs2 => "unicode",
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("api_key", &self.settings.api_key)
            .append_pair("api_secret", &self.settings.api_secret)
            .append_pair("from", &self.settings.from)
            .append_pair("to", sms::without_plus(&parcel.to))
            .append_pair("type", kind)
            .append_pair("text", &parcel.body)
            .append_pair("client-ref", &format!("{}-{}", parcel.delivery_id, parcel.round));
        let left = (parcel.expires_at - Clock::System.now()).num_milliseconds();
        if left < TTL_MS.end {
            form.append_pair("ttl", &left.max(TTL_MS.start).to_string());
        }
        if let Some(callback) = &self.callback_url {
            form.append_pair("callback", callback);
        }
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, sms::FORM_CONTENT_TYPE);
        headers.insert(ACCEPT, sms::JSON_CONTENT_TYPE);
        *request.body_mut() = Some(form.finish().into());
        request
    }

    /// What an answer means: HTTP 200 also for refusals, and one element for each segment.
    fn send_result(&self, answered: &HttpResponse) -> SendResult {
        let http = format!("HTTP {}", answered.status);
        if answered.status != 200 {
            let class = sms::class_from_http_status(answered.status);
            let outcome = class.outcome(sms::raw_reason(answered), retry_after(&answered.headers));
            return SendResult {
                outcome,
                code: Some(http),
            };
        }
        let json: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
        let elements = json["messages"]
            .as_array()
            .filter(|_| answered.body_end == BodyEnd::Complete);
        let elements = elements.map(Vec::as_slice).unwrap_or_default();
        let statuses = elements
            .iter()
            .map(|element| element["status"].as_str().unwrap_or_default());
        let refused = statuses.clone().position(|status| status != "0");
        let (outcome, code) = match refused {
            _ if elements.is_empty() => (sms::unknown_outcome(answered), http),
            None => (self.accepted_outcome(answered, elements), "0".to_owned()),
            Some(place) => refused_segment(elements, place, statuses.filter(|status| *status == "0").count()),
        };
        SendResult {
            outcome,
            code: Some(code),
        }
    }

    /// The message's reference is its last segment's: when that arrives, those before it have.
    fn accepted_outcome(&self, answered: &HttpResponse, elements: &[Value]) -> Outcome {
        let id = |element: &Value| element["message-id"].as_str().and_then(parse_reference);
        let Some(ids) = elements.iter().map(id).collect::<Option<Vec<_>>>() else {
            return sms::unknown_outcome(answered);
        };
        if let Some((last, others)) = ids.split_last() {
            self.segments.link(others, last);
        }
        Outcome::Accepted {
            reference: ids.last().cloned(),
        }
    }

    fn parse_callback_fields(
        &self,
        call: &CallbackRequest,
        fields: &CallbackFields,
    ) -> Result<Vec<CallbackItem>, CallbackError> {
        let id = fields.get("messageId").or_else(|| fields.get("message-id"));
        let id = id
            .and_then(parse_reference)
            .ok_or_else(|| sms::malformed("there is no messageId"))?;
        let at = fields.get("message-timestamp").and_then(parse_timestamp);
        let at = at.unwrap_or(call.received_at).min(call.received_at);
        let Some(status) = fields.get("status") else {
            return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
                reference: Some(id),
                from: sms::with_plus(fields.require("msisdn")?),
                to: fields.get("to").unwrap_or_default().to_owned(),
                body: fields.require("text")?.to_owned(),
                at,
            })]);
        };
        let number = fields.get("err-code").unwrap_or_default();
        let (class, ours) = codes::classify_receipt(number);
        let reason = join_reasons(&format!("{status} {number}"), ours);
        let verdict = match status {
            "delivered" => Some(ReceiptStatus::Delivered),
            "expired" | "failed" | "rejected" => Some(class.failed_receipt_status(reason)),
            // On its way: accepted, buffered. Nobody knows: unknown.
            _ => None,
        };
        let mut incoming = Vec::new();
        if let Some(verdict) = verdict
            && let Some(reference) = self.segments.message_of_segment(id, &verdict)
        {
            incoming.push(CallbackItem::Receipt(Receipt {
                reference,
                status: verdict,
                at,
            }));
        }
        if class == SmsCodeClass::OptedOut {
            let who = fields.get("msisdn").map(sms::with_plus);
            incoming.extend(who.map(|who| sms::opt_out_notice(&who, number, ours, at)));
        }
        Ok(incoming)
    }
}

/// What a refused segment says. When others were taken, sending all again would be the worse mistake.
fn refused_segment(elements: &[Value], place: usize, taken: usize) -> (Outcome, String) {
    let element = elements.get(place).unwrap_or(&Value::Null);
    let number = element["status"].as_str().unwrap_or_default();
    let theirs = element["error-text"].as_str().unwrap_or_default();
    let (class, ours) = codes::classify_submit(number, theirs);
    let reason = join_reasons(ours, theirs);
    let outcome = if taken > 0 {
        let reason = format!("only {taken} of {} parts were taken: {reason}", elements.len());
        Outcome::Rejected { reason }
    } else {
        class.outcome(reason, None)
    };
    (outcome, number.to_owned())
}

/// A time as Vonage writes it, which is taken for UTC.
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let moment = NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%d %H:%M:%S");
    moment.ok().map(|moment| moment.and_utc())
}

#[async_trait]
impl Provider for Vonage {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        match sms::into_http_response(self.client.call(self.send_request(parcel)).await) {
            Ok(answered) => self.send_result(&answered),
            Err(none) => none,
        }
    }

    fn parse_callback_sync(&self, call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        if !self.settings.has_authenticated_callbacks() {
            return Err(CallbackError::NotSupported);
        }
        if let Some(token) = &self.settings.receipts_token
            && !sms::has_valid_token(call, token)
        {
            return Err(CallbackError::Unauthenticated);
        }
        let fields = CallbackFields::from_callback(call)?;
        if let Some(secret) = &self.settings.signature_secret
            && !signature::is_valid(
                secret,
                self.settings.signature_method,
                call,
                &fields,
                &self.nonces,
            )
        {
            return Err(CallbackError::Unauthenticated);
        }
        self.parse_callback_fields(call, &fields)
    }

    fn callback_response(&self, _call: &CallbackRequest) -> Option<CallbackResponse> {
        Some(CallbackResponse::empty())
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::authenticated_if(self.settings.has_authenticated_callbacks())
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn endpoint(&self) -> (String, u16) {
        self.endpoint.clone()
    }
}
