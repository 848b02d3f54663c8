//! The engine of Postrider: configuration, the wired [`gateway::Gateway`], acceptance, delivery, receipts,
//! events, broadcasts, the report, scheduled jobs and metrics.
//!
//! It contains no HTTP, no SQL and no provider protocols: APIs and commands call these functions, and these
//! call the traits of `postrider-store`, `postrider-queue`, `postrider-cache` and `postrider-providers`.

pub mod accept;
pub mod account_rates;
pub mod accounts;
pub mod background;
pub mod broadcast;
pub mod callbacks;
mod circuit;
pub mod config;
pub mod deliver;
pub mod due;
pub mod events;
pub mod fan_out;
pub mod gateway;
pub mod inbound;
pub mod job_lock;
pub mod metrics;
mod open;
pub mod problems;
pub mod provider_runtime;
mod provider_settings;
pub mod prune;
pub mod receipts;
pub mod recipient;
mod reload;
pub mod request_load;
pub mod resend;
mod response_times;
mod route;
pub mod search;
pub mod shared_health;
mod slots;
pub mod status;
pub mod stop;
pub mod sync_report;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod usage;
pub mod user_inbox;
pub mod users;
pub mod worker;
