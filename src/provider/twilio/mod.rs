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
use super::outbound::{Answered, End, Line};
use super::reading::reference;
use super::sms::{self, Class, Fields, Mailbox, said};
use super::{Acknowledgement, Call, Callbacks, Parcel, Provider, Refusal, Site};
use crate::clock::Clock;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::inbound::{InboundText, Incoming};
use crate::domain::receipt::{Receipt, Verdict};
use crate::domain::recipient::AddressKind;
use crate::error::Result;

pub use settings::Settings;

/// How long Twilio keeps what it cannot send, unless we say otherwise, and the longest it can be told, in seconds.
const KEPT_SECONDS: i64 = 36_000;

/// An account at Twilio.
pub struct Twilio {
    settings: Settings,
    url: Url,
    authorization: HeaderValue,
    /// Where Twilio is to report to; none when it could not get there.
    callback: Option<String>,
    place: (String, u16),
    line: Line,
    /// People who opted out at Twilio, as its refusals say.
    mailbox: Mailbox,
}

impl Twilio {
    /// An account as the settings describe it.
    pub(super) fn new(site: &Site<'_>, settings: &Settings) -> Result<Self> {
        let base = settings.base()?;
        let callback = sms::callback(site, None);
        let account = settings.account_sid.as_str();
        let (user, password) = settings.login();
        Ok(Self {
            url: base.at(&["2010-04-01", "Accounts", account, "Messages.json"]),
            authorization: sms::basic(user, password)?,
            callback: sms::is_public(&callback).then_some(callback),
            place: base.place(),
            settings: settings.clone(),
            line: site.outbound.line(site.limits, base.is_secure())?,
            mailbox: Mailbox::default(),
        })
    }

    fn request(&self, parcel: &Parcel) -> Request {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("To", &parcel.to);
        if let Some(from) = &self.settings.from {
            form.append_pair("From", from);
        }
        if let Some(service) = &self.settings.messaging_service_sid {
            form.append_pair("MessagingServiceSid", service);
        }
        form.append_pair("Body", &parcel.body);
        if let Some(callback) = &self.callback {
            form.append_pair("StatusCallback", callback);
        }
        if let Some(seconds) = sms::seconds_left(parcel, Clock::System.now(), 1, KEPT_SECONDS) {
            form.append_pair("ValidityPeriod", &seconds.to_string());
        }
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, sms::FORM);
        headers.insert(ACCEPT, sms::JSON);
        *request.body_mut() = Some(form.finish().into());
        request
    }
}

/// What an answer means.
fn answer(answered: &Answered) -> Answer {
    let json: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    if (200..300).contains(&answered.status) {
        return taken(answered, &json);
    }
    let code = json["code"].as_u64().map(|code| code.to_string());
    let theirs = json["message"].as_str();
    let theirs = theirs.map_or_else(|| sms::raw(answered), ToOwned::to_owned);
    let (class, ours) = match &code {
        Some(code) => codes::meaning(code, answered.status),
        None => (sms::class_of_status(answered.status), ""),
    };
    let retry_after = retry_after(&answered.headers);
    Answer {
        outcome: class.outcome(said(ours, &theirs), retry_after),
        code: Some(code.unwrap_or_else(|| format!("HTTP {}", answered.status))),
    }
}

/// Twilio has it when the answer names the message and its status is none of the bad ones.
fn taken(answered: &Answered, json: &Value) -> Answer {
    let code = json["error_code"].as_u64().map(|code| code.to_string());
    let status = json["status"].as_str().unwrap_or_default();
    let failed = matches!(status, "failed" | "undelivered" | "canceled");
    let sid = json["sid"].as_str().and_then(reference);
    let outcome = match sid {
        _ if answered.end != End::Whole => sms::doubtful(answered),
        Some(_) if failed => {
            let number = code.as_deref().unwrap_or_default();
            let (class, ours) = codes::meaning(number, 0);
            let theirs = json["error_message"].as_str().unwrap_or(status);
            class.outcome(said(ours, theirs), None)
        }
        Some(reference) => Outcome::Accepted {
            reference: Some(reference),
        },
        None => sms::doubtful(answered),
    };
    let code = code.unwrap_or_else(|| format!("HTTP {}", answered.status));
    Answer {
        outcome,
        code: Some(code),
    }
}

/// What a status callback or an inbound text says; none when it changes nothing.
fn heard(call: &Call, fields: &Fields) -> Result<Vec<Incoming>, Refusal> {
    let reference = |text: &str| reference(text).ok_or_else(|| sms::unreadable("the MessageSid is none"));
    let sid = fields.get("MessageSid").or_else(|| fields.get("SmsSid"));
    let sid = reference(sid.ok_or_else(|| sms::unreadable("there is no MessageSid"))?)?;
    let status = fields.get("MessageStatus").or_else(|| fields.get("SmsStatus"));
    let status = status.unwrap_or("received");
    if status == "received" && fields.get("From").is_some() {
        return Ok(vec![Incoming::Text(InboundText {
            reference: Some(sid),
            from: fields.need("From")?.to_owned(),
            to: fields.get("To").unwrap_or_default().to_owned(),
            body: fields.get("Body").unwrap_or_default().to_owned(),
            at: call.heard_at,
        })]);
    }
    let code = fields.get("ErrorCode").unwrap_or_default();
    let (class, ours) = codes::meaning(code, 0);
    let reason = said(&format!("{status} {code}"), ours);
    let verdict = match status {
        "delivered" => Some(Verdict::Delivered),
        "read" => Some(Verdict::Opened),
        "undelivered" | "failed" => Some(class.loss(reason)),
        "canceled" => Some(Verdict::Bounced { reason }),
        // On its way: accepted, scheduled, queued, sending, sent, and words that will come.
        _ => None,
    };
    let receipt = |verdict| {
        Incoming::Receipt(Receipt {
            reference: sid,
            verdict,
            at: call.heard_at,
        })
    };
    let mut incoming = Vec::from_iter(verdict.map(receipt));
    if class == Class::OptedOut {
        let opted_out = |address| sms::opted_out(address, code, ours, call.heard_at);
        incoming.extend(fields.get("To").map(opted_out));
    }
    Ok(incoming)
}

#[async_trait]
impl Provider for Twilio {
    async fn send(&self, parcel: &Parcel) -> Answer {
        let answer = match sms::answered(self.line.call(self.request(parcel)).await) {
            Ok(answered) => answer(&answered),
            Err(none) => none,
        };
        let code = answer.code.as_deref().unwrap_or_default();
        if let (Class::OptedOut, words) = codes::meaning(code, 0) {
            let incoming = sms::opted_out(&parcel.to, code, words, Clock::System.now());
            self.mailbox.put(incoming);
        }
        answer
    }

    async fn incoming(&self) -> Vec<Incoming> {
        self.mailbox.fetch().await
    }

    fn receipts(&self, call: &Call) -> Result<Vec<Incoming>, Refusal> {
        if !signature::is_right(&self.settings.auth_token, call) {
            return Err(Refusal::Forged);
        }
        heard(call, &Fields::of(call)?)
    }

    /// A document without any order: what stands in the answer to a text, Twilio would say to the person.
    fn acknowledgement(&self, _call: &Call) -> Option<Acknowledgement> {
        Some(Acknowledgement {
            content_type: Some("text/xml"),
            body: "<Response/>".to_owned(),
        })
    }

    fn callbacks(&self) -> Callbacks {
        Callbacks::Authenticated
    }

    fn address(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn place(&self) -> (String, u16) {
        self.place.clone()
    }
}
