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

#[path = "../e2e/databases.rs"]
#[allow(dead_code)]
// Shared with the end-to-end tests, which use all of it.
mod databases;
#[path = "../e2e/endings.rs"]
mod endings;
#[path = "../e2e/peers.rs"]
#[allow(dead_code)]
// Likewise.
mod peers;
#[path = "../e2e/stub.rs"]
#[allow(dead_code)]
// Likewise.
mod stub;
#[path = "../e2e/wire.rs"]
#[allow(dead_code)]
// Likewise.
mod wire;
#[path = "../e2e/world.rs"]
#[allow(dead_code)]
// Likewise.
mod world;

mod crowd;
mod lan;
mod load;
mod relay;
mod servers;

mod cables;
mod clocks;
mod database;
mod killed;
mod leases;
mod limits;
mod links;
mod queue;
mod storm;
