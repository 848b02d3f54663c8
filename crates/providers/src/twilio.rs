//! SMS through Twilio's Messages resource: sending, status callbacks and inbound messages.
//!
//! Twilio has no idempotency key, so a call without a response is `Unknown`.

mod callback;
mod codes;
mod settings;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;

use postrider_core::address::AddressKind;
use postrider_core::attempt::SendResult;
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

use crate::adapter_context::AdapterContext;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};
use crate::provider::{OutboundMessage, Provider};
use crate::sms::{self, CallbackFields, OptOutNotices, SmsApi};
use codes::{OPT_OUT_CODE, twilio_code};
pub use settings::TwilioSettings;

/// Maximum `ValidityPeriod` in seconds. Twilio stores a message without `ValidityPeriod` for this time as well.
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
    pub(super) fn new(context: &AdapterContext, twilio_settings: &TwilioSettings) -> Result<Self> {
        let path = ["2010-04-01", "Accounts", &twilio_settings.account_sid, "Messages.json"];
        let (user, password) = twilio_settings.credentials();
        let callback_url = sms::callback_url(context, None);
        Ok(Self {
            api: SmsApi::new(context, &twilio_settings.base_url()?, &path)?
                .with_basic_auth(user, password)?,
            callback_url: Some(callback_url).filter(|url| sms::is_publicly_reachable(url)),
            settings: twilio_settings.clone(),
            opt_out_notices: OptOutNotices::default(),
            clock: context.clock.clone(),
        })
    }

    /// Returns the form of a message.
    fn request(&self, message: &OutboundMessage) -> String {
        let validity = sms::validity_seconds(message, self.clock.now(), 1, VALIDITY_PERIOD_SECONDS_MAX);
        let validity = validity.map(|seconds| seconds.to_string());
        let mut twilio_form = form_urlencoded::Serializer::new(String::new());
        for (field_name, field_value) in [
            ("To", Some(&message.to)),
            ("From", self.settings.from.as_ref()),
            ("MessagingServiceSid", self.settings.messaging_service_sid.as_ref()),
            ("Body", Some(&message.body)),
            ("StatusCallback", self.callback_url.as_ref()),
            ("ValidityPeriod", validity.as_ref()),
        ] {
            if let Some(field_value) = field_value {
                twilio_form.append_pair(field_name, field_value);
            }
        }
        twilio_form.finish()
    }
}

#[async_trait]
impl Provider for Twilio {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let twilio_result = match self.api.post_form(self.request(message)).await {
            Ok(response) => codes::send_result(&response),
            Err(twilio_result) => return twilio_result,
        };
        if twilio_result.code.as_deref() == Some(OPT_OUT_CODE) {
            let opt_out = twilio_code(OPT_OUT_CODE, None);
            self.opt_out_notices.push(sms::opt_out_notice(&message.to, &opt_out, self.clock.now()));
        }
        twilio_result
    }

    fn concerns_destination(&self, code: &str) -> bool {
        codes::DESTINATION_CODES.contains(&code)
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        if !signature::is_valid(&self.settings.auth_token, request) {
            return Err(CallbackError::Unauthenticated);
        }
        callback::parse_callback(request, &CallbackFields::from_callback(request)?)
    }

    /// Returns an empty TwiML document: Twilio would send a text in the document to the recipient.
    fn callback_response(&self, _request: &CallbackRequest) -> Option<CallbackResponse> {
        Some(CallbackResponse { content_type: Some("text/xml"), body: "<Response/>".to_owned() })
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::Authenticated
    }

    async fn receive(&self) -> Vec<CallbackItem> {
        self.opt_out_notices.receive().await
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn endpoint(&self) -> (String, u16) {
        self.api.endpoint()
    }
}
