//! HTTP interface of the gateway: the APIs, the pages, the OpenAPI documents, and the listener that serves them.
//!
//! An API has one file (the native API a folder); it parses requests, calls the engine, and writes its own envelope and
//! status codes. Decisions about messages belong to `postrider-engine`.

mod auth;
mod body;
mod compat;
mod connection;
mod connection_slots;
mod connection_timer;
mod cursor;
mod denial;
mod error_responses;
mod errors;
mod form;
mod inbox;
mod json_fields;
mod listen;
mod monitoring;
mod native;
mod openapi;
mod pages;
mod peer;
mod problem;
mod request_guard;
mod request_id;
mod routes;
mod session;
mod simple;
mod texting;
mod usage_params;
mod wrong_keys;

#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;

pub use listen::{serve, serve_monitoring};
