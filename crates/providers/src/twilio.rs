//! SMS through Twilio's Messages resource: sending, status callbacks and inbound messages.
//!
//! Twilio has no idempotency key, so a call without a response is `Unknown`.

mod codes;
mod settings;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::ReceiptStatus;

use crate::adapter_context::AdapterContext;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};
use crate::json_api::JsonResponse;
use crate::provider::{OutboundMessage, Provider};
use crate::provider_text::{join_reasons, parse_reference};
use crate::sms::{self, CallbackFields, OptOutNotices, SmsApi};
use codes::{OPT_OUT_CODE, classify};
pub use settings::TwilioSettings;

/// Maximum `ValidityPeriod`, and the time for which Twilio stores a message without one, in seconds.
const VALIDITY_PERIOD_SECONDS_MAX: i64 = 36_000;

/// A Twilio account.
pub struct Twilio {
    settings: TwilioSettings,
    api: SmsApi,
    /// None when the gateway is not publicly reachable.
    callback_url: Option<String>,
    opt_out_notices: OptOutNotices,
    clock: Clock,
}

impl Twilio {
    /// Returns the account that the settings describe.
    pub(super) fn new(context: &AdapterContext, settings: &TwilioSettings) -> Result<Self> {
        let path = ["2010-04-01", "Accounts", &settings.account_sid, "Messages.json"];
        let (user, password) = settings.credentials();
        let callback_url = sms::callback_url(context, None);
        Ok(Self {
            api: SmsApi::new(context, &settings.base_url()?, &path)?.with_basic_auth(user, password)?,
            callback_url: Some(callback_url).filter(|url| sms::is_publicly_reachable(url)),
            settings: settings.clone(),
            opt_out_notices: OptOutNotices::default(),
            clock: context.clock.clone(),
        })
    }

    fn form_body(&self, message: &OutboundMessage) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("To", &message.to);
        if let Some(from) = &self.settings.from {
            form.append_pair("From", from);
        }
        if let Some(service) = &self.settings.messaging_service_sid {
            form.append_pair("MessagingServiceSid", service);
        }
        form.append_pair("Body", &message.body);
        if let Some(url) = &self.callback_url {
            form.append_pair("StatusCallback", url);
        }
        let validity = sms::validity_seconds(message, self.clock.now(), 1, VALIDITY_PERIOD_SECONDS_MAX);
        if let Some(seconds) = validity {
            form.append_pair("ValidityPeriod", &seconds.to_string());
        }
        form.finish()
    }
}

fn send_result(response: &JsonResponse) -> SendResult {
    if response.is_success() {
        return accepted_result(response);
    }
    let number = response.json["code"].as_u64().map(|code| code.to_string());
    let text = response.json["message"].as_str();
    let text = text.map_or_else(|| response.body_reason(), ToOwned::to_owned);
    let retry_after = response.retry_after();
    let (outcome, description) = match &number {
        Some(number) => classify(number, Some(response.status)),
        None => (response.status_outcome().outcome, ""),
    };
    SendResult {
        outcome: outcome.into_outcome(None, join_reasons(description, &text), retry_after),
        code: Some(number.unwrap_or_else(|| response.http_status_text())),
    }
}

/// A success confirms the message when it has an id and no failed status.
fn accepted_result(response: &JsonResponse) -> SendResult {
    let json = &response.json;
    let number = json["error_code"].as_u64().map(|code| code.to_string());
    let status = json["status"].as_str().unwrap_or_default();
    let has_failed = matches!(status, "failed" | "undelivered" | "canceled");
    let outcome = match json["sid"].as_str().and_then(parse_reference) {
        None => response.unconfirmed_outcome(),
        Some(_) if !response.is_complete() => response.unconfirmed_outcome(),
        Some(_) if has_failed => {
            let (outcome, description) = classify(number.as_deref().unwrap_or_default(), None);
            let text = json["error_message"].as_str().unwrap_or(status);
            outcome.into_outcome(None, join_reasons(description, text), None)
        }
        reference => Outcome::Accepted { reference },
    };
    SendResult { outcome, code: Some(number.unwrap_or_else(|| response.http_status_text())) }
}

/// Parses a status callback or an inbound message.
fn parse_callback_fields(
    request: &CallbackRequest,
    fields: &CallbackFields,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let sid = fields.get("MessageSid").or_else(|| fields.get("SmsSid"));
    let sid = sid.ok_or_else(|| sms::malformed("MessageSid is missing"))?;
    let sid = parse_reference(sid).ok_or_else(|| sms::malformed("MessageSid is invalid"))?;
    let status = fields.get("MessageStatus").or_else(|| fields.get("SmsStatus"));
    let status = status.unwrap_or("received");
    if status == "received" && fields.get("From").is_some() {
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: Some(sid),
            from: fields.require("From")?.to_owned(),
            to: fields.get("To").unwrap_or_default().to_owned(),
            body: fields.get("Body").unwrap_or_default().to_owned(),
            at: request.received_at,
        })]);
    }
    let number = fields.get("ErrorCode").unwrap_or_default();
    let (outcome, description) = classify(number, None);
    let reason = join_reasons(&format!("{status} {number}"), description);
    let status = match status {
        "delivered" => Some(ReceiptStatus::Delivered),
        "read" => Some(ReceiptStatus::Opened),
        "undelivered" | "failed" => Some(outcome.failed_receipt_status(reason)),
        "canceled" => Some(ReceiptStatus::Bounced { reason }),
        // accepted, scheduled, queued, sending, sent, and statuses that Twilio may add: the message is on its way.
        _ => None,
    };
    let mut items = Vec::from_iter(sms::receipt_item(sid, status, request.received_at));
    if number == OPT_OUT_CODE {
        let notice = |address| sms::opt_out_notice(address, number, description, request.received_at);
        items.extend(fields.get("To").map(notice));
    }
    Ok(items)
}

#[async_trait]
impl Provider for Twilio {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let result = match self.api.post_form(self.form_body(message)).await {
            Ok(response) => send_result(&response),
            Err(result) => return result,
        };
        if result.code.as_deref() == Some(OPT_OUT_CODE) {
            let (_, description) = classify(OPT_OUT_CODE, None);
            let notice = sms::opt_out_notice(&message.to, OPT_OUT_CODE, description, self.clock.now());
            self.opt_out_notices.push(notice);
        }
        result
    }

    async fn receive(&self) -> Vec<CallbackItem> {
        self.opt_out_notices.receive().await
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        if !signature::is_valid(&self.settings.auth_token, request) {
            return Err(CallbackError::Unauthenticated);
        }
        parse_callback_fields(request, &CallbackFields::from_callback(request)?)
    }

    /// Returns an empty TwiML document: Twilio would send a text in it to the recipient.
    fn callback_response(&self, _request: &CallbackRequest) -> Option<CallbackResponse> {
        Some(CallbackResponse { content_type: Some("text/xml"), body: "<Response/>".to_owned() })
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::Authenticated
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn endpoint(&self) -> (String, u16) {
        self.api.endpoint()
    }
}
