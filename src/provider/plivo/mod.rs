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
use super::outbound::{Answered, End, Line};
use super::reading::reference;
use super::sms::{self, Class, Fields, Seen, said};
use super::{Acknowledgement, Call, Callbacks, Parcel, Provider, Refusal, Site};
use crate::clock::Clock;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::inbound::{InboundText, Incoming};
use crate::domain::receipt::{Receipt, Verdict};
use crate::domain::recipient::AddressKind;
use crate::error::Result;

pub use settings::Settings;

/// How long Plivo keeps what it cannot send: the least and the most that can be asked for, in seconds.
const KEPT_SECONDS: std::ops::Range<i64> = 5..10_800;

/// An account at Plivo.
pub struct Plivo {
    settings: Settings,
    url: Url,
    place: (String, u16),
    authorization: HeaderValue,
    /// Where Plivo is to report to; none when it could not get there.
    callback: Option<String>,
    line: Line,
    nonces: Seen,
}

impl Plivo {
    /// An account as the settings describe it.
    pub(super) fn new(site: &Site<'_>, settings: &Settings) -> Result<Self> {
        let base = settings.base()?;
        let callback = sms::callback(site, settings.receipts_token.as_deref());
        let account = settings.auth_id.as_str();
        Ok(Self {
            // Nothing behind the last slash, which has to be there.
            url: base.at(&["v1", "Account", account, "Message", ""]),
            place: base.place(),
            authorization: sms::basic(account, &settings.auth_token)?,
            callback: sms::is_public(&callback).then_some(callback),
            settings: settings.clone(),
            line: site.outbound.line(site.limits, base.is_secure())?,
            nonces: Seen::default(),
        })
    }

    fn request(&self, parcel: &Parcel) -> Request {
        let mut document = json!({
            "dst": sms::bare(&parcel.to),
            "text": parcel.body,
            "type": "sms",
        });
        let settings = &self.settings;
        let left = sms::seconds_left(parcel, Clock::System.now(), KEPT_SECONDS.start, KEPT_SECONDS.end);
        let more = [
            ("src", settings.from.as_deref().map(sms::bare).map(Value::from)),
            (
                "powerpack_uuid",
                settings.powerpack_uuid.as_deref().map(Value::from),
            ),
            ("url", self.callback.as_deref().map(Value::from)),
            ("method", self.callback.is_some().then(|| Value::from("POST"))),
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
        headers.insert(CONTENT_TYPE, sms::JSON);
        headers.insert(ACCEPT, sms::JSON);
        *request.body_mut() = Some(document.to_string().into());
        request
    }
}

/// What an answer means. A refusal has words and no code, so the HTTP status decides.
fn answer(answered: &Answered) -> Answer {
    let json: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    let theirs = json["error"].as_str();
    let theirs = theirs.map_or_else(|| sms::raw(answered), ToOwned::to_owned);
    let id = json["message_uuid"][0].as_str().and_then(reference);
    let outcome = match (answered.status, id) {
        (200..300, _) if answered.end != End::Whole => sms::doubtful(answered),
        (200..300, Some(id)) => Outcome::Accepted { reference: Some(id) },
        (200..300, None)
            if json["invalid_number"]
                .as_array()
                .is_some_and(|list| !list.is_empty()) =>
        {
            Class::Invalid.outcome("the number is not valid".to_owned(), None)
        }
        (200..300, None) => sms::doubtful(answered),
        (400, _) if names_only_number(&theirs) => Class::Invalid.outcome(theirs, None),
        (400 | 409 | 422, _) => Class::Rejected.outcome(theirs, None),
        (402, _) => Class::Misconfigured.outcome(said("there is not enough credit", &theirs), None),
        (status, _) => sms::class_of_status(status).outcome(theirs, retry_after(&answered.headers)),
    };
    Answer {
        outcome,
        code: Some(format!("HTTP {}", answered.status)),
    }
}

/// Whether the words speak of the recipient's number alone: that it is the sender's, too, is not its own fault.
fn names_only_number(theirs: &str) -> bool {
    let names = |word| {
        theirs
            .split(|letter: char| !letter.is_alphanumeric())
            .any(|one| one == word)
    };
    names("dst") && !names("src")
}

/// What a status callback or an inbound text says; nothing when it changes nothing.
fn heard(call: &Call, fields: &Fields) -> Result<Vec<Incoming>, Refusal> {
    let id = fields
        .get("ParentMessageUUID")
        .or_else(|| fields.get("MessageUUID"));
    let id = id
        .and_then(reference)
        .ok_or_else(|| sms::unreadable("there is no MessageUUID"))?;
    let at = call.heard_at;
    let Some(status) = fields.get("Status") else {
        return Ok(vec![Incoming::Text(InboundText {
            reference: Some(id),
            from: sms::international(fields.need("From")?),
            to: fields.get("To").unwrap_or_default().to_owned(),
            body: fields.need("Text")?.to_owned(),
            at,
        })]);
    };
    let number = fields.get("ErrorCode").unwrap_or_default();
    let (class, ours) = codes::meaning(number);
    let reason = said(&format!("{status} {number}"), ours);
    let verdict = match status {
        // One part of several says nothing of the message, unless it is the last.
        "delivered" => is_last_part(fields).then_some(Verdict::Delivered),
        "read" => Some(Verdict::Opened),
        "undelivered" | "failed" => Some(class.loss(reason)),
        "rejected" => Some(Verdict::Bounced { reason }),
        // On its way: queued, sent.
        _ => None,
    };
    let receipt = |verdict| {
        Incoming::Receipt(Receipt {
            reference: id,
            verdict,
            at,
        })
    };
    let mut incoming = Vec::from_iter(verdict.map(receipt));
    if class == Class::OptedOut {
        let who = fields.get("To").map(sms::international);
        incoming.extend(who.map(|who| sms::opted_out(&who, number, ours, at)));
    }
    Ok(incoming)
}

/// `PartInfo` is `2 of 3`; a message of one part may have none.
fn is_last_part(fields: &Fields) -> bool {
    let info = fields.get("PartInfo").unwrap_or_default();
    let (part, parts) = info.split_once(" of ").unwrap_or_default();
    part.trim() == parts.trim()
}

#[async_trait]
impl Provider for Plivo {
    async fn send(&self, parcel: &Parcel) -> Answer {
        match sms::answered(self.line.call(self.request(parcel)).await) {
            Ok(answered) => answer(&answered),
            Err(none) => none,
        }
    }

    fn receipts(&self, call: &Call) -> Result<Vec<Incoming>, Refusal> {
        if let Some(token) = &self.settings.receipts_token
            && !sms::is_token(call, token)
        {
            return Err(Refusal::Forged);
        }
        if !signature::is_right(&self.settings.auth_token, call, &self.nonces) {
            return Err(Refusal::Forged);
        }
        heard(call, &Fields::of(call)?)
    }

    fn acknowledgement(&self, _call: &Call) -> Option<Acknowledgement> {
        Some(Acknowledgement::empty())
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
