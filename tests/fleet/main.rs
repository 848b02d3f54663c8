//! Many hosts under a steady load while one thing after the other breaks: processes, cables, PostgreSQL, Redis,
//! clocks. Each file is one kind of fault, each test its own network, servers and processes.
//!
//! Whatever happens: what was accepted is delivered, a second send is shown as `unknown`, and intake answers again
//! soon after the fault. Needs root for real network namespaces; without, hosts are processes behind relays.
//! `POSTRIDER_LONG=1` makes faults longer and more.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]
// Tests may stop at the first surprise, and need the real clock and the environment.

#[path = "../e2e/raw_http.rs"]
#[allow(dead_code)]
// Likewise.
mod raw_http;
#[path = "../e2e/stub_provider.rs"]
#[allow(dead_code)]
// Shared with the end-to-end tests, which use all of it.
mod stub_provider;
#[path = "../e2e/test_gateway.rs"]
#[allow(dead_code)]
// Likewise.
mod test_gateway;

mod cluster;
mod load;
mod network;
mod servers;
mod tcp_relay;

mod clock_skew;
mod expired_leases;
mod fault_pairs;
mod network_partitions;
mod postgres_failover;
mod process_kills;
mod redis_outages;
mod shared_limits;
mod slow_network;
