//! Tests of many hosts under a steady load with faults of processes, networks, PostgreSQL, Redis and clocks. Each file
//! tests one kind of fault; each test has its own network, servers and processes.
//!
//! Every test checks that accepted messages are sent, that each duplicate send has an attempt with the outcome
//! `unknown`, and that intake recovers soon after the fault. Network namespaces need root; without it, hosts are
//! processes behind relays. `POSTRIDER_LONG=1` runs more and longer faults.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]
// Tests may panic, and need the real clock and the environment.

// Shared with the end-to-end tests, which use every item.
#[path = "../e2e/raw_http.rs"]
#[allow(dead_code)]
mod raw_http;
#[path = "../e2e/stub_provider.rs"]
#[allow(dead_code)]
mod stub_provider;
#[path = "../e2e/test_gateway.rs"]
#[allow(dead_code)]
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
