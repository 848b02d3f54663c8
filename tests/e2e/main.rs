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

mod api;
mod broadcasts;
mod browser;
mod commands;
mod crash;
mod databases;
mod disk;
mod door;
mod edges;
mod events;
mod fleet;
mod hosts;
mod inbox;
mod interrupted;
mod metrics;
mod moving;
mod parts;
mod peers;
mod providers;
mod reference;
mod sandbox;
mod simulation;
mod smpp;
mod stop;
mod stub;
mod sums;
mod throttle;
mod usage;
mod walk;
mod wire;
mod world;
