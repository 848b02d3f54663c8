//! Sends a message with an account token that may expire between two messages.
//!
//! A provider that refuses the token has not processed the message, so the message is sent once more with another
//! token. Both calls together take at most the time of one call. If no token is available, nothing was sent, and the
//! next provider may be tried.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Request;

use postrider_core::attempt::{Outcome, SendResult};

use crate::http_client::HttpClient;
use crate::json_api::{JsonResponse, into_json_response};

/// The tokens of an account.
#[async_trait]
pub(crate) trait TokenSource: Send + Sync {
    /// Returns a valid token other than `refused` within `limit`, or the result of the message.
    async fn token(&self, refused: Option<&Arc<str>>, limit: Duration) -> Result<Arc<str>, SendResult>;
}

/// Sends the request that `request` builds for a token, and once more when the provider refused the token.
pub(crate) async fn send_with_token(
    client: &HttpClient,
    tokens: &impl TokenSource,
    request: impl Fn(&str) -> Request + Send + Sync,
    is_token_refused: fn(&JsonResponse) -> bool,
) -> Result<JsonResponse, SendResult> {
    let deadline = client.start_deadline();
    let limit = || deadline.remaining().ok_or_else(token_timeout);
    let token = tokens.token(None, limit()?).await?;
    let response = into_json_response(client.call_with_timeout(limit()?, request(&token)).await)?;
    if !is_token_refused(&response) {
        return Ok(response);
    }
    let token = tokens.token(Some(&token), limit()?).await?;
    into_json_response(client.call_with_timeout(limit()?, request(&token)).await)
}

/// Returns the result of a message whose time limit passed before a token was available.
pub(crate) fn token_timeout() -> SendResult {
    let reason = "no account token within the time limit; nothing was sent".to_owned();
    Outcome::Unavailable { reason }.into()
}
