//! Requests to the Pushy API.
//!
//! Makes each call once; the caller parses the response.

use reqwest::{Method, Request, Url};
use serde_json::{Value, json};

use postrider_core::attempt::SendResult;
use postrider_core::clock::Clock;
use postrider_core::error::Result;

use super::settings::PushySettings;
use crate::adapter_context::AdapterContext;
use crate::base_url::BaseUrl;
use crate::http_client::{ConnectionRequirements, HttpClient};
use crate::json_api::{JsonResponse, gateway_id, into_json_response, json_post_request};
use crate::provider::OutboundMessage;

/// Maximum time that Pushy keeps a message for an offline device: 365 days, in seconds.
const TTL_SECONDS_MAX: i64 = 365 * 86_400;

/// The API with the key of an account.
pub(super) struct PushyApi {
    settings: PushySettings,
    base_url: BaseUrl,
    client: HttpClient,
    pub clock: Clock,
}

impl PushyApi {
    /// Returns the API of the account that the settings describe.
    pub fn new(context: &AdapterContext, pushy_settings: &PushySettings) -> Result<Self> {
        let base_url = pushy_settings.base_url()?;
        let requirements = ConnectionRequirements {
            is_tls: base_url.is_secure(),
            ca: pushy_settings.ca.clone(),
            ..ConnectionRequirements::default()
        };
        Ok(Self {
            client: context.http_clients.client_with(&context.limits, requirements)?,
            base_url,
            settings: pushy_settings.clone(),
            clock: context.clock.clone(),
        })
    }

    /// Fetches a resource.
    pub async fn get(&self, segments: &[&str]) -> Result<JsonResponse, SendResult> {
        let request = Request::new(Method::GET, self.url(segments));
        into_json_response(self.client.call(request).await)
    }

    /// Sends a message.
    pub async fn push(&self, message: &OutboundMessage) -> Result<JsonResponse, SendResult> {
        let request = json_post_request(self.url(&["push"]), &self.request(message));
        into_json_response(self.client.call(request).await)
    }

    /// Returns host and port.
    pub fn endpoint(&self) -> (String, u16) {
        self.base_url.endpoint()
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base_url.resource_url(segments);
        url.query_pairs_mut().append_pair("api_key", &self.settings.api_key);
        url
    }

    /// Returns the JSON document of a message.
    fn request(&self, message: &OutboundMessage) -> Value {
        let mut app_data = json!(self.settings.data);
        app_data["message"] = json!(message.body);
        app_data["gw_id"] = json!(gateway_id(message).to_string());
        let mut notification = json!({"body": message.body});
        if let Some(title) = message.subject.as_ref().or(self.settings.title.as_ref()) {
            app_data["title"] = json!(title);
            notification["title"] = json!(title);
        }
        if let Some(sound) = &self.settings.sound {
            notification["sound"] = json!(sound);
        }
        let seconds = (message.expires_at - self.clock.now()).num_seconds();
        json!({
            "to": message.to,
            "data": app_data,
            "notification": notification,
            "time_to_live": seconds.clamp(1, TTL_SECONDS_MAX),
        })
    }
}
