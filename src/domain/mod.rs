//! What Postrider knows about messages, without any I/O, clock or dice.
//!
//! Everything here is plain data and pure functions: `now` and `luck` come in as arguments.

pub mod attempt;
pub mod broadcast;
pub mod channel;
pub mod contact;
pub mod delivery;
pub mod event;
pub mod fleet;
pub mod health;
pub mod id;
pub mod inbound;
pub mod message;
pub mod order;
pub mod receipt;
pub mod recipient;
pub mod report;
pub mod retry;
pub mod route;
pub mod share;
pub mod text;
pub mod throttle;
pub mod turn;
pub mod usage;
pub mod user_throttle;
pub mod wish;
