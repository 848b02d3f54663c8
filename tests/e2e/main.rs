//! End-to-end tests of the real program over real sockets; each file covers one behaviour.
//!
//! Each test has its own folder and processes. Tests poll a condition until a generous deadline instead of sleeping for
//! a fixed time. A missing peer fails the test with the command that installs it.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]
// Tests may panic, and need the real clock and the environment.

mod broadcasts;
mod browser;
mod commands;
mod compat;
mod count_consistency;
mod crash;
mod disk;
mod docs_walkthrough;
mod http_robustness;
mod inbound;
mod inbox;
mod job_locks;
mod metrics;
mod move_store;
mod openapi;
mod peer_programs;
mod produce_work_monitor;
mod providers;
mod queue_and_cache_outages;
mod raw_http;
mod sandbox_server;
mod sdks;
mod shared_postgres;
mod shutdown;
mod simulate;
mod simulate_reference;
mod smpp;
mod stub_provider;
mod systemd;
mod test_cleanup;
mod test_gateway;
mod usage;
mod user_throttle;
mod webhook_events;
