//! Sends texts through Kavenegar, in Iran: plain ones from a line of the account, or one-time codes by a template.
//!
//! A plain text carries an id of ours, so a call that went silent can be made again without a second text. The key is a
//! part of the URL, which is therefore never shown. Receipts are not signed; a token in their URL stands in for that.

mod codes;
mod numbers;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Request, Url};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::outbound::{Answered, End, Line};
use super::reading::reference;
use super::sms::{self, Class, Fields, said};
use super::{Acknowledgement, Call, Callbacks, Parcel, Provider, Refusal, Site};
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::inbound::{InboundText, Incoming};
use crate::domain::receipt::Receipt;
use crate::domain::recipient::AddressKind;
use crate::error::Result;

pub use settings::Settings;

/// The longest text, in characters, and the longest value of a template.
const TEXT_CHARS_MAX: usize = 900;
const TOKEN_CHARS_MAX: usize = 100;

/// How long an account that went too fast rests, the first time and at most.
const REST: Duration = Duration::from_secs(60);
const REST_MAX: Duration = Duration::from_secs(15 * 60);

/// An account at Kavenegar.
pub struct Kavenegar {
    settings: Settings,
    url: Url,
    place: (String, u16),
    line: Line,
    /// How often in a row it said that we go too fast.
    hurried: AtomicU32,
}

impl Kavenegar {
    /// An account as the settings describe it.
    pub(super) fn new(site: &Site<'_>, settings: &Settings) -> Result<Self> {
        let base = settings.base()?;
        let key = settings.api_key.as_str();
        let (scope, method) = match settings.template {
            Some(_) => ("verify", "lookup.json"),
            None => ("sms", "send.json"),
        };
        Ok(Self {
            url: base.at(&["v1", key, scope, method]),
            place: base.place(),
            settings: settings.clone(),
            line: site.outbound.line(site.limits, base.is_secure())?,
            hurried: AtomicU32::new(0),
        })
    }

    /// The form, or why there can be none; `local_id` is our id for a plain text.
    fn form(&self, parcel: &Parcel, local_id: u64) -> std::result::Result<String, String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        if let Some(template) = &self.settings.template {
            let fits = parcel.body.chars().count() <= TOKEN_CHARS_MAX
                && !parcel
                    .body
                    .contains(|letter: char| letter.is_whitespace() || letter == '_');
            if !fits || parcel.body.is_empty() {
                return Err(format!(
                    "a template takes at most {TOKEN_CHARS_MAX} characters without blanks and underscores: the code alone"
                ));
            }
            form.append_pair("receptor", &numbers::for_template(&parcel.to))
                .append_pair("template", template)
                .append_pair("token", &parcel.body);
            return Ok(form.finish());
        }
        if parcel.body.chars().count() > TEXT_CHARS_MAX {
            return Err(format!("the text is longer than {TEXT_CHARS_MAX} characters"));
        }
        let Some(receptor) = numbers::at_home(&parcel.to) else {
            return Err("only Iranian mobile numbers can be written to without a template".to_owned());
        };
        form.append_pair("receptor", &receptor)
            .append_pair("message", &parcel.body)
            .append_pair("localid", &local_id.to_string());
        if let Some(sender) = &self.settings.sender {
            form.append_pair("sender", sender);
        }
        Ok(form.finish())
    }

    async fn call(&self, parcel: &Parcel, local_id: u64) -> Said {
        let form = match self.form(parcel, local_id) {
            Ok(form) => form,
            Err(reason) => return Said::of(Outcome::Rejected { reason }.into()),
        };
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, sms::FORM);
        headers.insert(ACCEPT, sms::JSON);
        *request.body_mut() = Some(form.into());
        match sms::answered(self.line.call(request).await) {
            Ok(answered) => answer(&answered),
            Err(none) => Said::of(none),
        }
    }

    /// No time is ever said, so a rest doubles each time it did not help.
    fn paced(&self, mut answer: Answer) -> Answer {
        if let Outcome::Throttled { retry_after } = &mut answer.outcome {
            let times = self.hurried.fetch_add(1, Ordering::Relaxed).min(10);
            *retry_after = Some(REST.saturating_mul(1 << times).min(REST_MAX));
        } else {
            self.hurried.store(0, Ordering::Relaxed);
        }
        answer
    }
}

/// What an answer says.
struct Said {
    answer: Answer,
    /// It shows an older text with the same id, and that one had failed.
    is_old_failure: bool,
}

impl Said {
    fn of(answer: Answer) -> Self {
        Self {
            answer,
            is_old_failure: false,
        }
    }
}

/// The body's own status is what counts, whatever the status of HTTP.
fn answer(answered: &Answered) -> Said {
    let json: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    let status = json["return"]["status"]
        .as_u64()
        .or_else(|| scanned(&answered.body));
    let Some(status) = status.filter(|_| answered.end == End::Whole) else {
        return Said::of(unread(answered));
    };
    let theirs = json["return"]["message"].as_str().unwrap_or_default();
    if status == 200 {
        return taken(answered, &json);
    }
    let status = status.to_string();
    let (class, ours) = codes::call(&status);
    Said::of(Answer {
        outcome: class.outcome(said(ours, theirs), None),
        code: Some(status),
    })
}

fn unread(answered: &Answered) -> Answer {
    let outcome = match answered.status {
        200..300 => sms::doubtful(answered),
        status => sms::class_of_status(status).outcome(sms::raw(answered), None),
    };
    Answer {
        outcome,
        code: Some(format!("HTTP {}", answered.status)),
    }
}

/// Its errors are not always JSON; the number behind the first `"status":` will do.
fn scanned(body: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once("\"status\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn taken(answered: &Answered, json: &Value) -> Said {
    let entries = &json["entries"];
    let entry = entries.get(0).unwrap_or(entries);
    let id = entry["messageid"].as_u64().map(|id| id.to_string());
    let Some(id) = id else {
        return Said::of(Answer {
            outcome: sms::doubtful(answered),
            code: Some("200".to_owned()),
        });
    };
    let status = entry["status"].as_u64().unwrap_or_default().to_string();
    let (class, ours) = codes::message(&status);
    let outcome = match class {
        Class::Accepted | Class::Delivered => Outcome::Accepted { reference: Some(id) },
        class => class.outcome(said(ours, entry["statustext"].as_str().unwrap_or_default()), None),
    };
    Said {
        is_old_failure: !matches!(outcome, Outcome::Accepted { .. }),
        answer: Answer {
            outcome,
            code: Some(status),
        },
    }
}

/// Our id for a text: the same in every round, so that one which went silent is not sent twice; with a round, another
/// one.
fn local_id(parcel: &Parcel, round: Option<u32>) -> u64 {
    let digest = Sha256::new()
        .chain_update(parcel.message.bytes())
        .chain_update(parcel.delivery.0.to_be_bytes())
        .chain_update(round.unwrap_or_default().to_be_bytes())
        .finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    // Its ids are signed.
    u64::from_be_bytes(bytes) >> 1
}

/// What a status callback or an inbound text says; nothing when it changes nothing.
fn heard(call: &Call, fields: &Fields) -> std::result::Result<Vec<Incoming>, Refusal> {
    let at = call.heard_at;
    let status = fields.get("status").unwrap_or("50");
    let id = fields.get("messageid").and_then(reference);
    if status == "50" {
        let from = fields.get("from").or_else(|| fields.get("sender"));
        return Ok(vec![Incoming::Text(InboundText {
            reference: id,
            from: from
                .ok_or_else(|| sms::unreadable("there is neither status nor from"))?
                .to_owned(),
            to: fields
                .get("to")
                .or_else(|| fields.get("receptor"))
                .unwrap_or_default()
                .to_owned(),
            body: fields.need("message")?.to_owned(),
            at,
        })]);
    }
    if !status.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(sms::unreadable("the status is no number"));
    }
    let reference = id.ok_or_else(|| sms::unreadable("there is no messageid"))?;
    let (class, ours) = codes::message(status);
    let verdict = class.verdict(said(&format!("status {status}"), ours));
    let receipt = |verdict| {
        Incoming::Receipt(Receipt {
            reference,
            verdict,
            at,
        })
    };
    Ok(Vec::from_iter(verdict.map(receipt)))
}

#[async_trait]
impl Provider for Kavenegar {
    /// An id that a failed text has already brings that text's record and sends nothing; then another id has to do.
    async fn send(&self, parcel: &Parcel) -> Answer {
        let mut said = self.call(parcel, local_id(parcel, None)).await;
        if said.is_old_failure && self.settings.template.is_none() && parcel.round > 1 {
            said = self.call(parcel, local_id(parcel, Some(parcel.round))).await;
        }
        self.paced(said.answer)
    }

    fn receipts(&self, call: &Call) -> std::result::Result<Vec<Incoming>, Refusal> {
        let token = self
            .settings
            .receipts_token
            .as_deref()
            .ok_or(Refusal::NotExpected)?;
        if !sms::is_token(call, token) {
            return Err(Refusal::Forged);
        }
        let mut fields = Fields::of(call)?;
        fields.forget("token");
        heard(call, &fields)
    }

    fn acknowledgement(&self, _call: &Call) -> Option<Acknowledgement> {
        Some(Acknowledgement::empty())
    }

    fn callbacks(&self) -> Callbacks {
        Callbacks::if_any(self.settings.receipts_token.is_some())
    }

    fn address(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn carries(&self, address: &str) -> bool {
        self.settings.template.is_some() || numbers::at_home(address).is_some()
    }

    fn place(&self) -> (String, u16) {
        self.place.clone()
    }
}
