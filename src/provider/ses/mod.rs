//! Sends mails through Amazon's service for mail (SES, version 2 of its interface), and hears its events through SNS.
//!
//! `sign.rs` signs requests, `codes.rs` says what answers mean, `sns.rs` checks who calls and `events.rs` reads what they
//! say. One recipient a call, so that a bounce speaks of one message. The service knows no key that would keep a
//! repetition from being sent twice; our ids travel as tags.

mod codes;
mod events;
mod settings;
mod sign;
mod sns;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};

use super::mailbox::{encoded, one_line, recipient};
use super::outbound::{Line, Reply, place_of};
use super::{Call, Callbacks, Checked, Parcel, Provider, Refusal};
use crate::clock::Clock;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::inbound::Incoming;
use crate::domain::recipient::AddressKind;
use crate::error::Result;

pub use settings::Settings;
use sign::Credentials;
use sns::Notary;

/// An account there.
pub struct Ses {
    settings: Settings,
    credentials: Credentials,
    base: Url,
    notary: Notary,
    line: Line,
}

impl Ses {
    /// An account as the settings describe it.
    pub(super) fn new(settings: &Settings, line: Line) -> Result<Self> {
        Ok(Self {
            credentials: settings.credentials(),
            base: settings.base()?,
            notary: Notary::new(settings.topics.clone(), settings.sns()?),
            settings: settings.clone(),
            line,
        })
    }

    fn request(&self, method: Method, path: &str, body: Option<String>) -> Option<Request> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        let mut request = Request::new(method, url);
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            *request.body_mut() = Some(body.into());
        }
        sign::signed(request, &self.credentials, Clock::System.now())
    }

    fn mail(&self, parcel: &Parcel, to: &str) -> Value {
        let settings = &self.settings;
        let subject = parcel
            .subject
            .as_deref()
            .map(one_line)
            .filter(|subject| !subject.is_empty());
        let text = |data: &str| json!({ "Data": data, "Charset": "UTF-8" });
        let mut mail = json!({
            "FromEmailAddress": encoded(&settings.from),
            "Destination": { "ToAddresses": [to] },
            "Content": { "Simple": {
                "Subject": text(subject.as_deref().unwrap_or(&settings.subject)),
                "Body": { "Text": text(&parcel.body) },
                "Headers": [{ "Name": "Auto-Submitted", "Value": "auto-generated" }],
            } },
            "EmailTags": [
                { "Name": "message", "Value": parcel.message.to_string() },
                { "Name": "delivery", "Value": format!("{}-{}", parcel.delivery, parcel.round) },
            ],
        });
        if let Some(reply_to) = &settings.reply_to {
            mail["ReplyToAddresses"] = json!([encoded(reply_to)]);
        }
        if let Some(set) = &settings.configuration_set {
            mail["ConfigurationSetName"] = json!(set);
        }
        mail
    }
}

fn unsigned() -> String {
    "the credentials cannot be sent; copy them again".to_owned()
}

#[async_trait]
impl Provider for Ses {
    async fn send(&self, parcel: &Parcel) -> Answer {
        let Some(to) = recipient(&parcel.to) else {
            let reason = "this is no address of a mailbox".to_owned();
            return Outcome::InvalidRecipient { reason }.into();
        };
        let to = to.to_string();
        let body = self.mail(parcel, &to).to_string();
        let Some(request) = self.request(Method::POST, "/v2/email/outbound-emails", Some(body)) else {
            return Outcome::Misconfigured { reason: unsigned() }.into();
        };
        match self.line.call(request).await {
            Reply::Answered(answered) => codes::answer(&answered, &to),
            Reply::NeverLeft(reason) => Outcome::Unavailable { reason }.into(),
            Reply::Silence(reason) => Outcome::Unknown { reason }.into(),
            Reply::Unsendable(reason) => Outcome::Rejected { reason }.into(),
        }
    }

    fn receipts(&self, call: &Call) -> Result<Vec<Incoming>, Refusal> {
        let envelope = self.notary.believed(call)?;
        match envelope.kind.as_str() {
            "Notification" => events::read(&envelope.message, call.heard_at),
            "SubscriptionConfirmation" => Ok(Vec::new()),
            "UnsubscribeConfirmation" => {
                log::warn!("a subscription to receipts of SES was ended; no more will come through it");
                Ok(Vec::new())
            }
            _ => Err(Refusal::Unreadable(
                "this kind of SNS message is unknown".to_owned(),
            )),
        }
    }

    async fn hear(&self, call: &Call) -> Result<Vec<Incoming>, Refusal> {
        self.notary.learn(call, &self.line).await?;
        let envelope = self.notary.believed(call)?;
        if envelope.kind == "SubscriptionConfirmation" {
            self.notary.subscribe(&envelope, &self.line).await?;
        }
        self.receipts(call)
    }

    fn callbacks(&self) -> Callbacks {
        Callbacks::if_any(self.notary.is_armed())
    }

    fn address(&self) -> AddressKind {
        AddressKind::Email
    }

    fn place(&self) -> (String, u16) {
        place_of(&self.base)
    }

    async fn check(&self) -> Checked {
        let Some(request) = self.request(Method::GET, "/v2/email/account", None) else {
            return Checked::Wrong(unsigned());
        };
        let (host, port) = self.place();
        let answered = match self.line.call(request).await {
            Reply::Answered(answered) => answered,
            Reply::NeverLeft(why) | Reply::Silence(why) | Reply::Unsendable(why) => {
                return Checked::Wrong(format!("{host}:{port} cannot be asked: {why}; is region right?"));
            }
        };
        let account: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
        if answered.status != 200 {
            let said = codes::said(Some(&account), &answered.body);
            let status = answered.status;
            return Checked::Wrong(format!(
                "{host}:{port} answered {status}: {said}; are access_key_id, secret_access_key and region right, and may \
                 they ses:GetAccount?"
            ));
        }
        if account["SendingEnabled"] == json!(false) {
            return Checked::Wrong(
                "the account may not send now (SendingEnabled is false); see its console".to_owned(),
            );
        }
        Checked::Well(standing(&account))
    }
}

/// What the account says of itself.
fn standing(account: &Value) -> String {
    let quota = |key: &str| {
        account["SendQuota"][key]
            .as_f64()
            .map(|number| number.to_string())
    };
    let mut words = "the credentials work".to_owned();
    if let (Some(sent), Some(most)) = (quota("SentLast24Hours"), quota("Max24HourSend")) {
        words.push_str(&format!("; {sent} of {most} mails of a day are sent"));
    }
    if let Some(rate) = quota("MaxSendRate") {
        words.push_str(&format!(", {rate} a second at most"));
    }
    if account["ProductionAccessEnabled"] == json!(false) {
        words.push_str("; it is in the sandbox, which sends to verified addresses only");
    }
    words.push_str("; whether the sender is verified shows only in a send");
    words
}
