//! Test support: the conformance suite of adapters, a scriptable HTTP server, and servers of other makes.
//!
//! Everything here panics on failure and is compiled for tests or with the feature `testing` only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[cfg(test)]
pub(crate) mod code_table;
pub mod conformance;
pub mod http_stub;
#[cfg(test)]
pub(crate) mod keys;
#[cfg(test)]
pub(crate) mod peer;
#[cfg(test)]
pub(crate) mod sms;
