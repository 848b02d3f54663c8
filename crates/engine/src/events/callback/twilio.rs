//! Status callbacks of Twilio: a signed form for `sent`, `delivered`, `undelivered`, `failed` and `canceled`.

use form_urlencoded::Serializer;
use postrider_core::callback::Callback;
use postrider_core::delivery::Failure;
use postrider_core::event::{Event, EventType};
use postrider_providers::sign_twilio_form;
use reqwest::{Method, Url};

use super::call::{CallbackCall, DeliveryFacts, NoCall, event_uuid};
use super::receipt_words::receipt_time;

const FORM: &str = "application/x-www-form-urlencoded";

/// Builds the request for an event. `auth_token` is the token of the account, with which receivers verify the signature.
pub fn build(
    event: &Event,
    callback: &Callback,
    auth_token: Option<&str>,
    facts: &DeliveryFacts,
) -> Result<CallbackCall, NoCall> {
    let Some((status, error_code)) = message_status(event) else {
        return Err(NoCall::NotAskedFor);
    };
    let Some(auth_token) = auth_token.filter(|token| !token.is_empty()) else {
        return Err(NoCall::Impossible("the account has no Twilio auth token to sign with".to_owned()));
    };
    // Receivers verify the signature over the URL of the request that they see.
    let url = match Url::parse(&callback.url) {
        Ok(url) => url.to_string(),
        Err(cause) => return Err(NoCall::Impossible(format!("is not a URL ({cause})"))),
    };
    let pairs = form_pairs(event, callback, status, error_code, facts);
    let Some(signature) = sign_twilio_form(auth_token, &url, &pairs) else {
        return Err(NoCall::Impossible("the Twilio auth token cannot sign".to_owned()));
    };
    let headers = vec![
        ("content-type", FORM.to_owned()),
        ("accept", "*/*".to_owned()),
        ("user-agent", "TwilioProxy/1.1".to_owned()),
        ("x-twilio-signature", signature),
        ("i-twilio-idempotency-token", event_uuid(event)),
    ];
    let body = Serializer::new(String::new()).extend_pairs(&pairs).finish();
    Ok(CallbackCall { method: Method::POST, url, headers, body })
}

/// Returns `MessageStatus` and `ErrorCode` of an event; none for an event that Twilio does not tell.
pub fn message_status(event: &Event) -> Option<(&'static str, Option<&'static str>)> {
    match event.event_type {
        EventType::Waiting | EventType::Opened | EventType::Received => None,
        EventType::Sent => Some(("sent", None)),
        EventType::Delivered => Some(("delivered", None)),
        EventType::Failed => Some(failed_status(event.failure)),
    }
}

fn failed_status(failure: Option<Failure>) -> (&'static str, Option<&'static str>) {
    match failure {
        Some(Failure::Rejected) => ("failed", Some("30007")),
        Some(Failure::InvalidRecipient) => ("undelivered", Some("30005")),
        Some(Failure::Suppressed) => ("failed", Some("21610")),
        Some(Failure::Exhausted) => ("undelivered", Some("30003")),
        Some(Failure::Expired) => ("undelivered", Some("30036")),
        Some(Failure::Cancelled) => ("canceled", None),
        Some(Failure::Bounced | Failure::Unknown) | None => ("undelivered", Some("30008")),
    }
}

fn form_pairs(
    event: &Event,
    callback: &Callback,
    status: &str,
    error_code: Option<&str>,
    facts: &DeliveryFacts,
) -> Vec<(String, String)> {
    let sid = event.message.to_twilio_sid();
    let field = |name| callback.field(name).unwrap_or_default().to_owned();
    let from = callback.field("From").or(facts.sender.as_deref()).unwrap_or_default().to_owned();
    let to = callback.field("To").unwrap_or(&event.spelling).to_owned();
    let mut pairs =
        vec![("SmsSid", sid.clone()), ("SmsStatus", status.to_owned()), ("MessageStatus", status.to_owned())];
    pairs.push(("To", to));
    if let Some(service) = callback.field("MessagingServiceSid") {
        pairs.push(("MessagingServiceSid", service.to_owned()));
    }
    pairs.extend([("MessageSid", sid), ("AccountSid", field("AccountSid")), ("From", from)]);
    pairs.push(("ApiVersion", "2010-04-01".to_owned()));
    pairs.extend(error_code.map(|code| ("ErrorCode", code.to_owned())));
    let is_from_carrier = event.event_type == EventType::Delivered || event.failure == Some(Failure::Bounced);
    if is_from_carrier {
        pairs.push(("RawDlrDoneDate", receipt_time(event.at)));
    }
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests;
