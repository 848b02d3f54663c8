//! The constructor argument that all adapters share.
//!
//! Settings are not part of it: each adapter takes its own type as the second argument.

use postrider_core::clock::Clock;
use postrider_core::name::ConfigName;

use crate::http_client::HttpClientPool;
use crate::provider::CallLimits;

/// The values that every adapter is constructed with, besides its own settings.
#[derive(Clone)]
pub struct AdapterContext {
    /// The provider's name in the configuration.
    pub name: ConfigName,
    /// The limits of one call.
    pub limits: CallLimits,
    /// The public URL of the gateway, without a slash at the end.
    pub public_url: String,
    /// The token in the callback URL of providers that report to `/messages/delivery_status`.
    pub callback_token: String,
    /// The HTTP clients, and the transcript when one is recorded.
    pub http_clients: HttpClientPool,
    /// The source of the time.
    pub clock: Clock,
}
