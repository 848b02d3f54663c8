//! Configuration of the program: file, then environment, then command line, checked as a whole.
//!
//! An unknown key, an invalid value or a violated relation prevents the start with an error that names the
//! origin and the remedy. Only this module reads the environment. It never prints a secret and never opens a
//! store, queue, cache or provider.

mod account;
mod accounts;
mod api_keys;
mod channels;
mod check;
mod compat;
mod environment;
mod events;
mod inbound;
mod inbound_route;
pub mod keys;
mod keywords;
mod legacy_environment;
mod load;
mod provider_aliases;
mod providers;
mod retry;
mod secret;
mod setting_origins;
mod source;
mod table_reader;
mod test_mode;
mod text;
mod types;

pub use account::{Account, PasswordDigest, SmppLogin, TwilioLogin, UserLogin, VonageLogin};
pub use check::{LEASE_MARGIN, check_listen_address};
pub use compat::CompatConfig;
pub use environment::Environment;
pub use inbound_route::{InboundPattern, InboundRoute, InboundRouteTarget};
pub use secret::mask::mask_url;
pub use setting_origins::SettingOrigins;
pub use types::{
    ApiKey, ApiKeyEvents, ApiKeyLimits, Config, EventsConfig, LimitsConfig, LogConfig, LogFormat,
    ProviderConfig, ScheduleConfig, Scope, WorkConfig,
};

#[cfg(test)]
mod tests;
