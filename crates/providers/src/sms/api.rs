//! Calls the URL to which the messages of an SMS provider are posted.
//!
//! Makes each call once; the adapter parses the response.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Request, Url};
use serde_json::Value;

use postrider_core::attempt::SendResult;
use postrider_core::error::{Error, Result};

use crate::adapter_context::AdapterContext;
use crate::base_url::BaseUrl;
use crate::http_client::HttpClient;
use crate::json_api::{
    JSON_CONTENT_TYPE, JsonResponse, form_post_request, into_json_response, json_post_request,
};

/// The URL of an account's messages, and the client that calls it.
pub(crate) struct SmsApi {
    client: HttpClient,
    url: Url,
    endpoint: (String, u16),
    authorization: Option<HeaderValue>,
}

impl SmsApi {
    /// Returns the API whose messages are posted to these path segments below the base URL.
    pub fn new(context: &AdapterContext, base_url: &BaseUrl, segments: &[&str]) -> Result<Self> {
        Ok(Self {
            client: context.http_clients.client(&context.limits, base_url.is_secure())?,
            url: base_url.resource_url(segments),
            endpoint: base_url.endpoint(),
            authorization: None,
        })
    }

    /// Adds HTTP basic authentication to every call.
    pub fn with_basic_auth(self, user: &str, password: &str) -> Result<Self> {
        let credentials = BASE64.encode(format!("{user}:{password}"));
        let mut authorization = HeaderValue::from_str(&format!("Basic {credentials}"))
            .map_err(|_| Error::usage("the account's name or password is not valid in an HTTP header"))?;
        authorization.set_sensitive(true);
        Ok(Self { authorization: Some(authorization), ..self })
    }

    /// Posts a form. The error is the send result when there is no response.
    pub async fn post_form(&self, form: String) -> std::result::Result<JsonResponse, SendResult> {
        self.call(form_post_request(self.url.clone(), form)).await
    }

    /// Posts a JSON document. The error is the send result when there is no response.
    pub async fn post_json(&self, document: &Value) -> std::result::Result<JsonResponse, SendResult> {
        self.call(json_post_request(self.url.clone(), document)).await
    }

    async fn call(&self, mut request: Request) -> std::result::Result<JsonResponse, SendResult> {
        let headers = request.headers_mut();
        headers.insert(ACCEPT, JSON_CONTENT_TYPE);
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        into_json_response(self.client.call(request).await)
    }

    /// Returns host and port.
    pub fn endpoint(&self) -> (String, u16) {
        self.endpoint.clone()
    }
}
