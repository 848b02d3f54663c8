//! Requests to the Pushy API.
//!
//! The key of the account is part of every URL, so no URL is ever shown.

use reqwest::{Method, Request, Url};
use serde_json::{Value, json};

use super::settings::PushySettings;
use crate::OutboundMessage;
use crate::base_url::BaseUrl;
use crate::http_client::HttpClient;
use crate::json_api::{JsonResponse, gateway_id, into_json_response, json_post_request};
use postrider_core::attempt::SendResult;
use postrider_core::clock::Clock;

/// Maximum time that Pushy keeps a message for an offline device: 365 days, in seconds.
const TTL_SECONDS_MAX: i64 = 365 * 86_400;

/// The API with the key of an account.
pub(super) struct PushyApi {
    pub settings: PushySettings,
    pub base_url: BaseUrl,
    pub client: HttpClient,
    pub clock: Clock,
}

impl PushyApi {
    /// Fetches a resource.
    pub async fn get(&self, segments: &[&str]) -> Result<JsonResponse, SendResult> {
        let request = Request::new(Method::GET, self.url(segments));
        into_json_response(self.client.call(request).await)
    }

    /// Sends a message.
    pub async fn push(&self, message: &OutboundMessage) -> Result<JsonResponse, SendResult> {
        let request = json_post_request(self.url(&["push"]), &self.push_json(message));
        into_json_response(self.client.call(request).await)
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base_url.resource_url(segments);
        url.query_pairs_mut().append_pair("api_key", &self.settings.api_key);
        url
    }

    fn push_json(&self, message: &OutboundMessage) -> Value {
        let title = message.subject.as_ref().or(self.settings.title.as_ref());
        let mut data = json!({"message": message.body, "gw_id": gateway_id(message).to_string()});
        let mut notification = json!({"body": message.body});
        if let Some(title) = title {
            data["title"] = json!(title);
            notification["title"] = json!(title);
        }
        if let Some(sound) = &self.settings.sound {
            notification["sound"] = json!(sound);
        }
        for (name, text) in &self.settings.data {
            data[name] = json!(text);
        }
        let seconds = (message.expires_at - self.clock.now()).num_seconds();
        json!({
            "to": message.to,
            "data": data,
            "notification": notification,
            "time_to_live": seconds.clamp(1, TTL_SECONDS_MAX),
        })
    }
}
