//! The requests that hand an inbound message over, and the replies in their answers: signed webhook, Kannel, Twilio.

use form_urlencoded::Serializer;
use postrider_core::callback::{Callback, CallbackFormat};
use postrider_core::gsm7;
use postrider_core::inbound_record::InboundAction;
use postrider_core::text_parts;
use postrider_providers::sign_twilio_form;
use postrider_providers::webhook::{WebhookAnswer, WebhookClient, WebhookRequest};
use reqwest::{Method, Url};
use serde_json::json;

use super::super::callback::call::CallbackCall;
use super::super::callback::kannel_pattern::{PatternValues, expand};
use super::super::outcome::CallVerdict;
use super::super::signing::signing_secrets;
use super::routed_message::{Reply, RoutedMessage};
use super::twiml;
use crate::gateway::Gateway;
use crate::inbound::InboundView;
use crate::usage::rfc3339;

const FORM: &str = "application/x-www-form-urlencoded";

/// Posts the signed event `message.received`, to the `events_url` of the account if there is no URL.
pub async fn post_webhook(
    gateway: &Gateway,
    client: &WebhookClient,
    message: &RoutedMessage<'_>,
    url: Option<&String>,
) -> CallVerdict {
    let account = gateway.api_key(&message.route.account);
    let account_url = account.as_ref().and_then(|account| account.events.url.clone());
    let Some(url) = url.cloned().or(account_url) else {
        return CallVerdict::dead("the account has no events_url".to_owned());
    };
    let url = match client.parse_url(&url) {
        Ok(url) => url,
        Err(reason) => return CallVerdict::dead(reason),
    };
    let Some(secrets) = signing_secrets(&gateway.config.events, account.as_deref()) else {
        return CallVerdict::dead("no signing secrets for events are configured".to_owned());
    };
    let payload = json!({
        "type": "message.received",
        "timestamp": rfc3339(message.record.received_at),
        "data": InboundView::from(message.record.clone()),
    });
    let request = WebhookRequest {
        url: &url,
        secrets,
        id: &message.event.id().to_string(),
        body: payload.to_string().into_bytes(),
        now: gateway.clock.now(),
    };
    CallVerdict::from_result(client.post(request).await)
}

/// Builds the GET request of Kannel's `get-url`. Seen from us, `%p` is the sender and `%P` our number.
pub fn kannel_call(message: &RoutedMessage<'_>, pattern: &str) -> CallbackCall {
    let record = message.record;
    let coding = if gsm7::encode(&record.body).is_some() { "0" } else { "2" };
    let fields = [("n", message.route.name.as_str()), ("c", coding)];
    let callback = Callback {
        format: CallbackFormat::Kannel { mask: 0 },
        url: pattern.to_owned(),
        api_key: message.route.account.clone(),
        fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
    };
    let values = PatternValues {
        event: message.event,
        callback: &callback,
        dlr_value: 0,
        text: &record.body,
        reference: record.reference.as_deref().unwrap_or_default(),
        sender: &record.to,
        uuid: &record.id.to_string(),
    };
    CallbackCall {
        method: Method::GET,
        url: expand(pattern, &values),
        headers: vec![("user-agent", "Kannel/1.4.5".to_owned())],
        body: String::new(),
    }
}

/// Returns the reply in an answer to Kannel's `get-url`: the text of a 200 or 202.
pub fn kannel_replies(status: u16, answer: &WebhookAnswer) -> Result<Vec<Reply>, String> {
    if !matches!(status, 200 | 202) {
        return Ok(Vec::new());
    }
    let text = match answer.media_type() {
        "" | "text/plain" => answer.body.clone(),
        "text/html" | "text/vnd.wap.wml" => twiml::text_of(&answer.body),
        other => return Err(format!("content type {other} has no text")),
    };
    Ok(replies_of_texts([text]))
}

/// Builds the form that Twilio posts for an inbound message.
pub fn twilio_call(
    gateway: &Gateway,
    message: &RoutedMessage<'_>,
    url: &str,
) -> Result<CallbackCall, String> {
    let mut url = Url::parse(url).map_err(|cause| format!("is not a URL ({cause})"))?;
    url.set_fragment(None);
    let url = url.to_string();
    let account = gateway.api_key(&message.route.account);
    let login = account.as_ref().and_then(|key| key.account.twilio.as_ref());
    let account_sid = login.map(|login| login.sid.clone()).unwrap_or_default();
    let pairs = twilio_pairs(message, account_sid);
    let mut headers = vec![
        ("content-type", FORM.to_owned()),
        ("accept", "*/*".to_owned()),
        ("user-agent", "TwilioProxy/1.1".to_owned()),
        ("i-twilio-idempotency-token", message.record.id.to_string()),
    ];
    // Without a token the form is not signed.
    if let Some(login) = login {
        let signature = sign_twilio_form(&login.token, &url, &pairs);
        headers.push(("x-twilio-signature", signature.ok_or("the Twilio auth token cannot sign")?));
    }
    let body = Serializer::new(String::new()).extend_pairs(&pairs).finish();
    Ok(CallbackCall { method: Method::POST, url, headers, body })
}

fn twilio_pairs(message: &RoutedMessage<'_>, account_sid: String) -> Vec<(String, String)> {
    let record = message.record;
    let sid = record.id.to_twilio_sid();
    let segments = text_parts::count_parts(&record.body).count.max(1);
    let mut pairs = vec![
        ("MessageSid", sid.clone()),
        ("SmsSid", sid.clone()),
        ("SmsMessageSid", sid),
        ("AccountSid", account_sid),
        ("From", record.from.clone()),
        ("To", record.to.clone()),
        ("Body", record.body.clone()),
        ("NumMedia", "0".to_owned()),
        ("NumSegments", segments.to_string()),
        ("SmsStatus", "received".to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
    ];
    let opt_out_type = match record.action {
        InboundAction::None => None,
        InboundAction::Help => Some("HELP"),
        InboundAction::OptIn => Some("START"),
        InboundAction::OptOut => Some("STOP"),
    };
    pairs.extend(opt_out_type.map(|kind| ("OptOutType", kind.to_owned())));
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns the replies in an answer to Twilio's form: the messages of TwiML, or a plain text.
pub fn twilio_replies(_status: u16, answer: &WebhookAnswer) -> Result<Vec<Reply>, String> {
    match answer.media_type() {
        "text/xml" | "application/xml" => twiml::replies(&answer.body),
        "text/plain" => Ok(replies_of_texts([answer.body.clone()])),
        _ if answer.body.trim().is_empty() => Ok(Vec::new()),
        other => Err(format!("content type {other} is not TwiML")),
    }
}

/// Returns a reply for each text that is not blank.
fn replies_of_texts(texts: impl IntoIterator<Item = String>) -> Vec<Reply> {
    let trimmed = texts.into_iter().map(|text| text.trim().to_owned());
    trimmed.filter(|text| !text.is_empty()).map(|body| Reply { to: None, body }).collect()
}
