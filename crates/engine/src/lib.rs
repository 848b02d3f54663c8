//! What Postrider does with a message: configuration, the wired [`gateway::Gateway`], acceptance, delivery, receipts,
//! events, broadcasts, the report, scheduled jobs and metrics.
//!
//! Nothing here knows HTTP, SQL or a provider's wire: APIs and commands call these functions, and these call the traits
//! of `postrider-store`, `postrider-queue`, `postrider-cache` and `postrider-providers`.

pub mod accept;
pub mod background;
pub mod broadcast;
pub mod callbacks;
mod circuit;
pub mod config;
pub mod deliver;
pub mod events;
pub mod fan_out;
pub mod gateway;
pub mod job_lock;
pub mod metrics;
pub mod provider_runtime;
pub mod prune;
pub mod receipts;
pub mod recipient;
pub mod resend;
mod response_times;
mod route;
pub mod search;
pub mod shared_health;
mod slots;
pub mod status;
pub mod sync_report;
pub mod user_inbox;
mod user_throttle;
pub mod users;
pub mod worker;
