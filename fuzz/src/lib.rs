//! Fuzz targets: one module for each parser of input that other programs send.
//!
//! `run` takes any bytes and panics if the parser violates a promise: it panics, never ends, or returns a value that it
//! rejects itself. `fuzz_targets/` are the programs for cargo-fuzz; `tests/mutations.rs` runs all targets on a stable
//! toolchain with mutated seeds, as part of the test suite.
#![allow(clippy::expect_used, clippy::panic, reason = "a fuzz target reports a violation by a panic")]

pub mod addresses;
pub mod config_files;
pub mod http_requests;
pub mod http_templates;
pub mod provider_callbacks;
pub mod smpp_pdus;

use std::sync::LazyLock;
use tokio::runtime::Runtime;

/// A target: its name, its function, and inputs from which mutations start.
pub struct FuzzTarget {
    /// Name, as in `fuzz_targets`.
    pub name: &'static str,
    /// Runs the target with one input.
    pub run: fn(&[u8]),
    /// Returns valid inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [FuzzTarget; 6] = [
    FuzzTarget { name: "smpp_pdus", run: smpp_pdus::run, seeds: smpp_pdus::seeds },
    FuzzTarget { name: "provider_callbacks", run: provider_callbacks::run, seeds: provider_callbacks::seeds },
    FuzzTarget { name: "http_requests", run: http_requests::run, seeds: http_requests::seeds },
    FuzzTarget { name: "http_templates", run: http_templates::run, seeds: http_templates::seeds },
    FuzzTarget { name: "addresses", run: addresses::run, seeds: addresses::seeds },
    FuzzTarget { name: "config_files", run: config_files::run, seeds: config_files::seeds },
];

/// The runtime of asynchronous targets.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime"));

/// Copies texts into seeds.
fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
