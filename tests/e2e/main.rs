//! The real program over real sockets: each file is one behaviour, each test its own processes and folder.
//!
//! Nothing here sleeps and hopes: what is waited for is polled until a deadline that is far beyond what any
//! machine needs. A missing peer fails the test with the command that installs it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]
// Tests may stop at the first surprise, and need the real clock and the environment.

mod broadcasts;
mod browser;
mod commands;
mod count_consistency;
mod crash;
mod disk;
mod docs_walkthrough;
mod http_robustness;
mod inbox;
mod job_locks;
mod metrics;
mod move_store;
mod openapi;
mod produce_work_monitor;
mod providers;
mod queue_and_cache_outages;
mod raw_http;
mod sandbox_server;
mod shared_postgres;
mod shutdown;
mod simulate;
mod simulate_reference;
mod smpp;
mod stub_provider;
mod test_cleanup;
mod test_gateway;
mod usage;
mod user_throttle;
mod webhook_events;
