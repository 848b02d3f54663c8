//! Adapters to message providers: one module per kind, and the mechanics that kinds share.
//!
//! [`Provider`] is the interface of an adapter, [`ProviderSettings`] parses a kind's settings and constructs the adapter.
//! The registry lists the kinds.

mod account_evidence;
mod adapter_context;
mod apns;
mod app_receipts;
mod base_url;
mod callback;
mod callback_auth;
mod callback_receipts;
mod egress_policy;
mod email_address;
mod fcm;
mod http;
mod http_client;
mod http_response;
mod http_status;
mod http_transcript;
mod json_api;
mod json_path;
mod jwt;
mod kavenegar;
mod mail_status;
mod messenger;
mod mock;
mod outcome_code;
mod outcome_kind;
mod plivo;
mod provider;
mod provider_text;
mod pushy;
mod registry;
mod retry_after;
mod ses;
mod settings_reader;
mod signing;
mod smpp;
mod sms;
mod smtp;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tls;
mod token_renewal;
mod transcript;
mod twilio;
mod vonage;
pub mod webhook;

pub use adapter_context::AdapterContext;
pub use callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};
pub use egress_policy::{EgressPolicy, parse_network};
pub use http_client::HttpClientPool;
pub use provider::{AccountCheck, CallLimits, OutboundMessage, Provider};
pub use registry::ProviderSettings;
pub use transcript::Transcript;
pub use twilio::sign_form as sign_twilio_form;
