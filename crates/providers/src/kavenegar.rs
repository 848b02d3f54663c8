//! Sends texts through Kavenegar, in Iran: plain ones from a line of the account, or one-time codes by a template.
//!
//! A plain text carries an id of ours, so a call that went silent can be made again without a second text. The key is a
//! part of the URL, which is therefore never shown. Receipts are not signed; a token in their URL stands in for that.

mod codes;
mod phone_numbers;
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

use super::http_client::{BodyEnd, HttpClient, HttpResponse};
use super::settings_reader::parse_reference;
use super::sms::{self, CallbackFields, SmsCodeClass, join_reasons};
use super::{
    AdapterContext, CallbackError, CallbackMode, CallbackRequest, CallbackResponse, OutboundMessage, Provider,
};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::error::Result;
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::Receipt;
use postrider_core::recipient::AddressKind;

pub use settings::KavenegarSettings;

/// The longest text, in characters, and the longest value of a template.
const TEXT_CHARS_MAX: usize = 900;
const TOKEN_CHARS_MAX: usize = 100;

/// How long an account that went too fast rests, the first time and at most.
const THROTTLE_BACKOFF: Duration = Duration::from_secs(60);
const THROTTLE_BACKOFF_MAX: Duration = Duration::from_secs(15 * 60);

/// An account at Kavenegar.
pub struct Kavenegar {
    settings: KavenegarSettings,
    url: Url,
    endpoint: (String, u16),
    client: HttpClient,
    /// How often in a row it said that we go too fast.
    throttled_in_a_row: AtomicU32,
}

impl Kavenegar {
    /// An account as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &KavenegarSettings) -> Result<Self> {
        let base = settings.parsed_base_url()?;
        let key = settings.api_key.as_str();
        let (scope, method) = match settings.template {
            Some(_) => ("verify", "lookup.json"),
            None => ("sms", "send.json"),
        };
        Ok(Self {
            url: base.resource_url(&["v1", key, scope, method]),
            endpoint: base.endpoint(),
            settings: settings.clone(),
            client: context.http_clients.client(&context.limits, base.is_secure())?,
            throttled_in_a_row: AtomicU32::new(0),
        })
    }

    /// The form, or why there can be none; `local_id` is our id for a plain text.
    fn form_body(&self, parcel: &OutboundMessage, local_id: u64) -> std::result::Result<String, String> {
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
            form.append_pair("receptor", &phone_numbers::to_template_receptor(&parcel.to))
                .append_pair("template", template)
                .append_pair("token", &parcel.body);
            return Ok(form.finish());
        }
        if parcel.body.chars().count() > TEXT_CHARS_MAX {
            return Err(format!("the text is longer than {TEXT_CHARS_MAX} characters"));
        }
        let Some(receptor) = phone_numbers::to_national_mobile(&parcel.to) else {
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

    async fn send_once(&self, parcel: &OutboundMessage, local_id: u64) -> KavenegarResponse {
        let form = match self.form_body(parcel, local_id) {
            Ok(form) => form,
            Err(reason) => return KavenegarResponse::from_result(Outcome::Rejected { reason }.into()),
        };
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, sms::FORM_CONTENT_TYPE);
        headers.insert(ACCEPT, sms::JSON_CONTENT_TYPE);
        *request.body_mut() = Some(form.into());
        match sms::into_http_response(self.client.call(request).await) {
            Ok(answered) => parse_response(&answered),
            Err(none) => KavenegarResponse::from_result(none),
        }
    }

    /// No time is ever said, so a rest doubles each time it did not help.
    fn with_backoff(&self, mut answer: SendResult) -> SendResult {
        if let Outcome::Throttled { retry_after } = &mut answer.outcome {
            let times = self.throttled_in_a_row.fetch_add(1, Ordering::Relaxed).min(10);
            *retry_after = Some(
                THROTTLE_BACKOFF
                    .saturating_mul(1 << times)
                    .min(THROTTLE_BACKOFF_MAX),
            );
        } else {
            self.throttled_in_a_row.store(0, Ordering::Relaxed);
        }
        answer
    }
}

/// What an answer says.
struct KavenegarResponse {
    result: SendResult,
    /// It shows an older text with the same id, and that one had failed.
    is_earlier_failure: bool,
}

impl KavenegarResponse {
    fn from_result(answer: SendResult) -> Self {
        Self {
            result: answer,
            is_earlier_failure: false,
        }
    }
}

/// The body's own status is what counts, whatever the status of HTTP.
fn parse_response(answered: &HttpResponse) -> KavenegarResponse {
    let json: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    let status = json["return"]["status"]
        .as_u64()
        .or_else(|| scan_status(&answered.body));
    let Some(status) = status.filter(|_| answered.body_end == BodyEnd::Complete) else {
        return KavenegarResponse::from_result(unparsed_result(answered));
    };
    let theirs = json["return"]["message"].as_str().unwrap_or_default();
    if status == 200 {
        return accepted_response(answered, &json);
    }
    let status = status.to_string();
    let (class, ours) = codes::classify_call(&status);
    KavenegarResponse::from_result(SendResult {
        outcome: class.outcome(join_reasons(ours, theirs), None),
        code: Some(status),
    })
}

fn unparsed_result(answered: &HttpResponse) -> SendResult {
    let outcome = match answered.status {
        200..300 => sms::unknown_outcome(answered),
        status => sms::class_from_http_status(status).outcome(sms::raw_reason(answered), None),
    };
    SendResult {
        outcome,
        code: Some(format!("HTTP {}", answered.status)),
    }
}

/// Its errors are not always JSON; the number behind the first `"status":` will do.
fn scan_status(body: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once("\"status\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn accepted_response(answered: &HttpResponse, json: &Value) -> KavenegarResponse {
    let entries = &json["entries"];
    let entry = entries.get(0).unwrap_or(entries);
    let id = entry["messageid"].as_u64().map(|id| id.to_string());
    let Some(id) = id else {
        return KavenegarResponse::from_result(SendResult {
            outcome: sms::unknown_outcome(answered),
            code: Some("200".to_owned()),
        });
    };
    let status = entry["status"].as_u64().unwrap_or_default().to_string();
    let (class, ours) = codes::classify_message(&status);
    let outcome = match class {
        SmsCodeClass::Accepted | SmsCodeClass::Delivered => Outcome::Accepted { reference: Some(id) },
        class => class.outcome(
            join_reasons(ours, entry["statustext"].as_str().unwrap_or_default()),
            None,
        ),
    };
    KavenegarResponse {
        is_earlier_failure: !matches!(outcome, Outcome::Accepted { .. }),
        result: SendResult {
            outcome,
            code: Some(status),
        },
    }
}

/// Our id for a text: the same in every round, so that one which went silent is not sent twice; with a round, another
/// one.
fn local_id(parcel: &OutboundMessage, round: Option<u32>) -> u64 {
    let digest = Sha256::new()
        .chain_update(parcel.message_id.bytes())
        .chain_update(parcel.delivery_id.0.to_be_bytes())
        .chain_update(round.unwrap_or_default().to_be_bytes())
        .finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    // Its ids are signed.
    u64::from_be_bytes(bytes) >> 1
}

/// What a status callback or an inbound text says; nothing when it changes nothing.
fn parse_callback_fields(
    call: &CallbackRequest,
    fields: &CallbackFields,
) -> std::result::Result<Vec<CallbackItem>, CallbackError> {
    let at = call.received_at;
    let status = fields.get("status").unwrap_or("50");
    let id = fields.get("messageid").and_then(parse_reference);
    if status == "50" {
        let from = fields.get("from").or_else(|| fields.get("sender"));
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: id,
            from: from
                .ok_or_else(|| sms::malformed("there is neither status nor from"))?
                .to_owned(),
            to: fields
                .get("to")
                .or_else(|| fields.get("receptor"))
                .unwrap_or_default()
                .to_owned(),
            body: fields.require("message")?.to_owned(),
            at,
        })]);
    }
    if !status.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(sms::malformed("the status is no number"));
    }
    let reference = id.ok_or_else(|| sms::malformed("there is no messageid"))?;
    let (class, ours) = codes::classify_message(status);
    let verdict = class.receipt_status(join_reasons(&format!("status {status}"), ours));
    let receipt = |verdict| {
        CallbackItem::Receipt(Receipt {
            reference,
            status: verdict,
            at,
        })
    };
    Ok(Vec::from_iter(verdict.map(receipt)))
}

#[async_trait]
impl Provider for Kavenegar {
    /// An id that a failed text has already brings that text's record and sends nothing; then another id has to do.
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        let mut said = self.send_once(parcel, local_id(parcel, None)).await;
        if said.is_earlier_failure && self.settings.template.is_none() && parcel.round > 1 {
            said = self.send_once(parcel, local_id(parcel, Some(parcel.round))).await;
        }
        self.with_backoff(said.result)
    }

    fn parse_callback_sync(
        &self,
        call: &CallbackRequest,
    ) -> std::result::Result<Vec<CallbackItem>, CallbackError> {
        let token = self
            .settings
            .receipts_token
            .as_deref()
            .ok_or(CallbackError::NotSupported)?;
        if !sms::has_valid_token(call, token) {
            return Err(CallbackError::Unauthenticated);
        }
        let mut fields = CallbackFields::from_callback(call)?;
        fields.remove("token");
        parse_callback_fields(call, &fields)
    }

    fn callback_response(&self, _call: &CallbackRequest) -> Option<CallbackResponse> {
        Some(CallbackResponse::empty())
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::authenticated_if(self.settings.receipts_token.is_some())
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn can_send_to(&self, address: &str) -> bool {
        self.settings.template.is_some() || phone_numbers::to_national_mobile(address).is_some()
    }

    fn endpoint(&self) -> (String, u16) {
        self.endpoint.clone()
    }
}
