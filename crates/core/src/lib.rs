//! Domain types and pure rules of Postrider: messages, deliveries, retry, routing, limits, addresses and text parts.
//!
//! Plain data and pure functions. The current time and random numbers are arguments; only [`clock`] and [`random`] read
//! them. No I/O except in `testing`, which starts real servers for tests.

pub mod address;
pub mod attempt;
pub mod broadcast;
pub mod callback;
pub mod capacity;
pub mod channel;
pub mod circuit_breaker;
pub mod clock;
pub mod contact;
pub mod delivery;
pub mod duration;
pub mod error;
pub mod event;
pub mod gsm7;
pub mod id;
pub mod inbound;
pub mod inbound_record;
pub mod job;
pub mod keywords;
pub mod message;
pub mod name;
pub mod printable;
pub mod priority;
pub mod provider_control;
pub mod queue_entry;
pub mod random;
pub mod rate_limit;
pub mod receipt;
pub mod recipient;
pub mod report;
pub mod request_origin;
pub mod retry;
pub mod round;
pub mod routing;
pub mod shared_health;
pub mod slots;
#[cfg(feature = "testing")]
pub mod testing;
mod text_enum;
pub mod text_parts;
pub mod usage;
pub mod user_throttle;
