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
use super::outbound::{Answered, End, Line};
use super::reading::reference;
use super::sms::{self, Class, Fields, Seen, said};
use super::{Acknowledgement, Call, Callbacks, Parcel, Provider, Refusal, Site};
use crate::clock::{Clock, Timestamp};
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::inbound::{InboundText, Incoming};
use crate::domain::receipt::{Receipt, Verdict};
use crate::domain::recipient::AddressKind;
use crate::domain::text::{Alphabet, parts};
use crate::error::Result;

use segments::Segments;
pub use settings::Settings;

/// How long a message is tried at the carrier, in milliseconds: the least and the most that can be asked for.
const TTL_MS: std::ops::Range<i64> = 20_000..604_800_000;

/// An account at Vonage.
pub struct Vonage {
    settings: Settings,
    url: Url,
    place: (String, u16),
    /// Where Vonage is to report to; none when it could not get there.
    callback: Option<String>,
    line: Line,
    segments: Segments,
    nonces: Seen,
}

impl Vonage {
    /// An account as the settings describe it.
    pub(super) fn new(site: &Site<'_>, settings: &Settings) -> Result<Self> {
        let base = settings.base()?;
        let callback = sms::callback(site, settings.receipts_token.as_deref());
        let reports = settings.hears_receipts() && sms::is_public(&callback);
        Ok(Self {
            url: base.at(&["sms", "json"]),
            place: base.place(),
            callback: reports.then_some(callback),
            settings: settings.clone(),
            line: site.outbound.line(site.limits, base.is_secure())?,
            segments: Segments::default(),
            nonces: Seen::default(),
        })
    }

    fn request(&self, parcel: &Parcel) -> Request {
        let kind = match parts(&parcel.body).alphabet {
            Alphabet::Gsm7 => "text",
            Alphabet::Ucs2 => "unicode",
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("api_key", &self.settings.api_key)
            .append_pair("api_secret", &self.settings.api_secret)
            .append_pair("from", &self.settings.from)
            .append_pair("to", sms::bare(&parcel.to))
            .append_pair("type", kind)
            .append_pair("text", &parcel.body)
            .append_pair("client-ref", &format!("{}-{}", parcel.delivery, parcel.round));
        let left = (parcel.expires_at - Clock::System.now()).num_milliseconds();
        if left < TTL_MS.end {
            form.append_pair("ttl", &left.max(TTL_MS.start).to_string());
        }
        if let Some(callback) = &self.callback {
            form.append_pair("callback", callback);
        }
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, sms::FORM);
        headers.insert(ACCEPT, sms::JSON);
        *request.body_mut() = Some(form.finish().into());
        request
    }

    /// What an answer means: HTTP 200 also for refusals, and one element for each segment.
    fn answer(&self, answered: &Answered) -> Answer {
        let http = format!("HTTP {}", answered.status);
        if answered.status != 200 {
            let class = sms::class_of_status(answered.status);
            let outcome = class.outcome(sms::raw(answered), retry_after(&answered.headers));
            return Answer {
                outcome,
                code: Some(http),
            };
        }
        let json: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
        let elements = json["messages"].as_array().filter(|_| answered.end == End::Whole);
        let elements = elements.map(Vec::as_slice).unwrap_or_default();
        let statuses = elements
            .iter()
            .map(|element| element["status"].as_str().unwrap_or_default());
        let refused = statuses.clone().position(|status| status != "0");
        let (outcome, code) = match refused {
            _ if elements.is_empty() => (sms::doubtful(answered), http),
            None => (self.taken(answered, elements), "0".to_owned()),
            Some(place) => refusal(elements, place, statuses.filter(|status| *status == "0").count()),
        };
        Answer {
            outcome,
            code: Some(code),
        }
    }

    /// The message's reference is its last segment's: when that arrives, those before it have.
    fn taken(&self, answered: &Answered, elements: &[Value]) -> Outcome {
        let id = |element: &Value| element["message-id"].as_str().and_then(reference);
        let Some(ids) = elements.iter().map(id).collect::<Option<Vec<_>>>() else {
            return sms::doubtful(answered);
        };
        if let Some((last, others)) = ids.split_last() {
            self.segments.belong(others, last);
        }
        Outcome::Accepted {
            reference: ids.last().cloned(),
        }
    }

    fn heard(&self, call: &Call, fields: &Fields) -> Result<Vec<Incoming>, Refusal> {
        let id = fields.get("messageId").or_else(|| fields.get("message-id"));
        let id = id
            .and_then(reference)
            .ok_or_else(|| sms::unreadable("there is no messageId"))?;
        let at = fields.get("message-timestamp").and_then(moment);
        let at = at.unwrap_or(call.heard_at).min(call.heard_at);
        let Some(status) = fields.get("status") else {
            return Ok(vec![Incoming::Text(InboundText {
                reference: Some(id),
                from: sms::international(fields.need("msisdn")?),
                to: fields.get("to").unwrap_or_default().to_owned(),
                body: fields.need("text")?.to_owned(),
                at,
            })]);
        };
        let number = fields.get("err-code").unwrap_or_default();
        let (class, ours) = codes::receipt(number);
        let reason = said(&format!("{status} {number}"), ours);
        let verdict = match status {
            "delivered" => Some(Verdict::Delivered),
            "expired" | "failed" | "rejected" => Some(class.loss(reason)),
            // On its way: accepted, buffered. Nobody knows: unknown.
            _ => None,
        };
        let mut incoming = Vec::new();
        if let Some(verdict) = verdict
            && let Some(reference) = self.segments.speaks_for(id, &verdict)
        {
            incoming.push(Incoming::Receipt(Receipt {
                reference,
                verdict,
                at,
            }));
        }
        if class == Class::OptedOut {
            let who = fields.get("msisdn").map(sms::international);
            incoming.extend(who.map(|who| sms::opted_out(&who, number, ours, at)));
        }
        Ok(incoming)
    }
}

/// What a refused segment says. When others were taken, sending all again would be the worse mistake.
fn refusal(elements: &[Value], place: usize, taken: usize) -> (Outcome, String) {
    let element = elements.get(place).unwrap_or(&Value::Null);
    let number = element["status"].as_str().unwrap_or_default();
    let theirs = element["error-text"].as_str().unwrap_or_default();
    let (class, ours) = codes::submit(number, theirs);
    let reason = said(ours, theirs);
    let outcome = if taken > 0 {
        let reason = format!("only {taken} of {} parts were taken: {reason}", elements.len());
        Outcome::Rejected { reason }
    } else {
        class.outcome(reason, None)
    };
    (outcome, number.to_owned())
}

/// A time as Vonage writes it, which is taken for UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let moment = NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%d %H:%M:%S");
    moment.ok().map(|moment| moment.and_utc())
}

#[async_trait]
impl Provider for Vonage {
    async fn send(&self, parcel: &Parcel) -> Answer {
        match sms::answered(self.line.call(self.request(parcel)).await) {
            Ok(answered) => self.answer(&answered),
            Err(none) => none,
        }
    }

    fn receipts(&self, call: &Call) -> Result<Vec<Incoming>, Refusal> {
        if !self.settings.hears_receipts() {
            return Err(Refusal::NotExpected);
        }
        if let Some(token) = &self.settings.receipts_token
            && !sms::is_token(call, token)
        {
            return Err(Refusal::Forged);
        }
        let fields = Fields::of(call)?;
        if let Some(secret) = &self.settings.signature_secret
            && !signature::is_right(
                secret,
                self.settings.signature_method,
                call,
                &fields,
                &self.nonces,
            )
        {
            return Err(Refusal::Forged);
        }
        self.heard(call, &fields)
    }

    fn acknowledgement(&self, _call: &Call) -> Option<Acknowledgement> {
        Some(Acknowledgement::empty())
    }

    fn callbacks(&self) -> Callbacks {
        Callbacks::if_any(self.settings.hears_receipts())
    }

    fn address(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn place(&self) -> (String, u16) {
        self.place.clone()
    }
}
