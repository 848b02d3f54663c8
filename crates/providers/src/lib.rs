//! Adapters to message providers: one module per kind, and the mechanics that kinds share.
//!
//! [`Provider`] is the interface of an adapter, [`ProviderSettings`] parses a kind's settings and constructs the adapter.
//! The registry lists the kinds.

mod adapter_context;
pub mod apns;
mod callback;
mod callback_auth;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod egress_policy;
mod email_address;
pub mod fcm;
pub mod http;
mod http_client;
#[cfg(any(test, feature = "testing"))]
pub mod http_stub;
mod json_api;
mod jwt;
pub mod kavenegar;
pub mod messenger;
pub mod mock;
mod outcome_kind;
#[cfg(test)]
mod peer;
pub mod plivo;
mod provider;
pub mod pushy;
mod registry;
pub mod ses;
mod settings_reader;
pub mod smpp;
mod sms;
pub mod smtp;
mod tls;
pub mod transcript;
pub mod twilio;
pub mod vonage;
pub mod webhook;

pub use adapter_context::AdapterContext;
pub use callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};
pub use egress_policy::EgressPolicy;
pub use http_client::HttpClientPool;
pub use provider::{AccountCheck, CallLimits, OutboundMessage, Provider};
pub use registry::ProviderSettings;
pub use transcript::Transcript;
