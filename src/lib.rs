//! Postrider, a message gateway: accepts a message over HTTP, keeps it safe, and gets it to a person through
//! whichever provider works right now. ARCHITECTURE.md is the guided tour.

pub mod cache;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod dice;
pub mod domain;
pub mod error;
pub mod flow;
pub mod gateway;
pub mod http;
pub mod metrics;
pub mod provider;
pub mod queue;
pub mod request_origin;
pub mod sandbox;
pub mod store;

#[cfg(test)]
#[path = "../tests/e2e/databases.rs"]
mod databases;
#[cfg(test)]
#[path = "../tests/e2e/endings.rs"]
mod endings;
#[cfg(test)]
#[path = "../tests/e2e/peers.rs"]
mod peers;
