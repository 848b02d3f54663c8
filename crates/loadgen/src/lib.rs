//! Load generation: simulated messages and users, and the sandbox server that stands in for providers.
//!
//! Everything here drives the engine from outside and changes nothing in it.

pub mod messages;
pub mod sandbox_server;
pub mod users;
