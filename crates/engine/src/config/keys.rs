//! Table of all configuration keys: kind, default and description of each.
//!
//! The reader, the environment overrides, the table in the README and `console.example.toml` are all checked
//! against it. `NAME` in a path stands for the name of a channel or provider; such keys have no environment
//! variable.

mod value_kind;

pub use value_kind::{ValueKind, markdown_table};

/// A configuration key.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// Path in the file, such as `work.lease` or `channels.NAME.strategy`.
    pub path: &'static str,
    /// Kind of the value.
    pub kind: ValueKind,
    /// Default value; empty if there is none or if it depends on other keys.
    pub default: &'static str,
    /// Description in one line.
    pub description: &'static str,
}

impl ConfigKey {
    /// Returns the environment variable that overrides the key; `None` for keys of named tables.
    pub fn environment_variable(&self) -> Option<String> {
        if self.path == USED_CHANNELS {
            return Some("USED_CHANNELS".to_owned());
        }
        let named = self.path.contains("NAME") || self.path.starts_with("keys.");
        (!named).then(|| format!("POSTRIDER_{}", self.path.to_uppercase().replace('.', "_")))
    }
}

/// Variables of the program that are not configuration keys: path of the file and log filter.
pub const OTHER_VARIABLES: [&str; 2] = ["POSTRIDER_CONFIG", "POSTRIDER_LOG"];

/// Variables that may contain the log filter (`warn`, `info,postrider=debug`); the first one that is set is
/// used.
pub const LOG_VARIABLES: [&str; 2] = ["POSTRIDER_LOG", "RUST_LOG"];

/// Returns the key at that path.
pub fn find_config_key(path: &str) -> Option<&'static ConfigKey> {
    CONFIG_KEYS.iter().find(|key| key.path == path)
}

/// Returns the next path segment of all keys that begin with `prefix` (`work.`, or empty for the top level).
pub fn key_names_under(prefix: &str) -> impl Iterator<Item = &'static str> {
    let mut seen = "";
    CONFIG_KEYS
        .iter()
        .filter_map(move |key| key.path.strip_prefix(prefix))
        .map(|tail| tail.split('.').next().unwrap_or(tail))
        .filter(move |name| std::mem::replace(&mut seen, name) != *name)
}

const fn config_key(
    path: &'static str,
    kind: ValueKind,
    default: &'static str,
    description: &'static str,
) -> ConfigKey {
    ConfigKey {
        path,
        kind,
        default,
        description,
    }
}

/// The one key whose variable keeps the name that the replaced notification service gave it.
const USED_CHANNELS: &str = "used_channels";

/// Maximum 10,000: the store keeps one timestamp per message in the user's row, 40 kB at most.
const PER_HOUR_COUNT: ValueKind = ValueKind::Count(0, 10_000);

const POSITIVE_COUNT: ValueKind = ValueKind::Count(1, 1_000_000);

/// All keys, in the order of `console.example.toml`.
pub const CONFIG_KEYS: &[ConfigKey] = &[
    config_key(
        "listen",
        ValueKind::Text,
        "127.0.0.1:8080",
        "address and port that `serve` listens on",
    ),
    config_key(
        "public_url",
        ValueKind::Text,
        "",
        "how the outside reaches this gateway, for receipts; `http://` and `listen` when not given",
    ),
    config_key(
        "insecure",
        ValueKind::Flag,
        "false",
        "serve addresses other than loopback without keys",
    ),
    config_key(
        "region",
        ValueKind::Text,
        "IR",
        "region of phone numbers without a country code",
    ),
    config_key(
        "numbers",
        ValueKind::Choice(&["possible", "valid"]),
        "possible",
        "how strictly a phone number is judged: a plausible length, or one its region has given out",
    ),
    config_key(
        "mask_numbers",
        ValueKind::Flag,
        "true",
        "show `+98912***2222` on pages instead of whole numbers",
    ),
    config_key(
        USED_CHANNELS,
        ValueKind::List,
        "",
        "channels of messages that name none: of `POST /inbox/send` (all when not given) and of `POST /v1/messages` (`sms`, or the first that takes phone numbers)",
    ),
    config_key(
        "store.url",
        ValueKind::Text,
        "sqlite:postrider.db",
        "where messages are kept: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?sslmode=MODE`",
    ),
    config_key(
        "store.replica_url",
        ValueKind::Text,
        "",
        "a PostgreSQL replica that searches and the report are read from; they may be seconds old",
    ),
    config_key(
        "store.connections",
        ValueKind::Count(1, 1_000),
        "16",
        "most connections to each PostgreSQL server",
    ),
    config_key(
        "queue.url",
        ValueKind::Text,
        "memory:",
        "where ids wait for a worker: `memory:`, `redis://HOST:PORT/DB`, `rediss://…`, `redis-cluster://HOST,HOST` or `redis+sentinel://HOST,HOST/MASTER`",
    ),
    config_key(
        "queue.window",
        ValueKind::Count(1, 10_000_000),
        "50000",
        "most ids the queue holds; the store holds the rest",
    ),
    config_key(
        "cache.url",
        ValueKind::Text,
        "memory:",
        "where the report is remembered: `memory:` or `memcache://HOST:PORT`",
    ),
    config_key(
        "work.concurrency",
        ValueKind::Count(1, 100_000),
        "256",
        "most calls to providers in flight at once",
    ),
    config_key(
        "work.lease",
        ValueKind::Duration,
        "60s",
        "how long a worker owns a delivery; longer than the slowest round of any channel",
    ),
    config_key(
        "work.grace",
        ValueKind::Duration,
        "20s",
        "how long requests and calls in flight may take to end after SIGTERM",
    ),
    config_key(
        "schedule.resend",
        ValueKind::DurationOrNever,
        "1m",
        "how often `serve` queues what is due; `never` leaves it to cron",
    ),
    config_key(
        "schedule.report",
        ValueKind::DurationOrNever,
        "20m",
        "how often `serve` brings the report up to date; `never` leaves it to cron",
    ),
    config_key(
        "limits.body_bytes_max",
        ValueKind::Bytes(1_024, 67_108_864),
        "65536",
        "longest request body",
    ),
    config_key(
        "limits.header_bytes_max",
        ValueKind::Bytes(8_192, 1_048_576),
        "16384",
        "longest request line and headers together",
    ),
    config_key(
        "limits.connections_max",
        POSITIVE_COUNT,
        "10000",
        "most open connections",
    ),
    config_key(
        "limits.header_timeout",
        ValueKind::Duration,
        "10s",
        "how long a client may take to send line and headers",
    ),
    config_key(
        "limits.body_timeout",
        ValueKind::Duration,
        "10s",
        "how long a client may take to send a body",
    ),
    config_key(
        "limits.idle_timeout",
        ValueKind::Duration,
        "60s",
        "how long a connection may lie idle between requests",
    ),
    config_key(
        "limits.message_chars_max",
        POSITIVE_COUNT,
        "1600",
        "longest message, in characters; ten text parts and a little more",
    ),
    config_key(
        "limits.page_limit_max",
        ValueKind::Count(1, 1_000),
        "100",
        "most lines on one page of a list",
    ),
    config_key(
        "limits.idempotency_keep",
        ValueKind::Duration,
        "24h",
        "how long the answer for an idempotency key is kept",
    ),
    config_key(
        "throttle.user_per_hour",
        PER_HOUR_COUNT,
        "300",
        "most messages that expect an answer, to one user in any 60 minutes; 0 is no limit",
    ),
    config_key(
        "events.secrets",
        ValueKind::List,
        "",
        "what calls to a `callback_url` are signed with, newest first: `whsec_` and Base64, or `${env:NAME}`; make one with `console events secret`",
    ),
    config_key(
        "events.networks",
        ValueKind::List,
        "",
        "networks that may be called although they are not public, also over http: `10.0.0.0/8`",
    ),
    config_key(
        "events.ports",
        ValueKind::List,
        "443",
        "ports of public addresses that may be called, over https",
    ),
    config_key(
        "events.concurrency",
        ValueKind::Count(1, 10_000),
        "32",
        "most calls to receivers of events in flight at once",
    ),
    config_key(
        "events.per_receiver",
        ValueKind::Count(1, 1_000),
        "4",
        "most of them to one host, or for one key with an `events_url`",
    ),
    config_key(
        "events.timeout",
        ValueKind::Duration,
        "15s",
        "how long a receiver may take to answer, connecting included",
    ),
    config_key(
        "events.waits",
        ValueKind::List,
        "5s,5m,30m,2h,5h,10h,14h,20h,24h",
        "wait after each failed call; after the last one the event is dead",
    ),
    config_key(
        "events.max_age",
        ValueKind::Duration,
        "96h",
        "age at which an event is dead, however seldom it was tried",
    ),
    config_key(
        "retry.base",
        ValueKind::Duration,
        "30s",
        "wait after the first failed round",
    ),
    config_key(
        "retry.factor",
        ValueKind::Number,
        "2",
        "by how much each wait is longer than the one before",
    ),
    config_key("retry.cap", ValueKind::Duration, "1h", "longest wait"),
    config_key(
        "retry.max_tries",
        POSITIVE_COUNT,
        "30",
        "failed rounds after which a delivery is given up",
    ),
    config_key(
        "retry.max_age",
        ValueKind::Duration,
        "24h",
        "age at which a delivery is given up",
    ),
    config_key(
        "channels.NAME.enabled",
        ValueKind::Flag,
        "true",
        "`false` leaves it out everywhere; what waits for it goes on waiting",
    ),
    config_key(
        "channels.NAME.providers",
        ValueKind::List,
        "",
        "its providers, in order",
    ),
    config_key(
        "channels.NAME.strategy",
        ValueKind::Choice(&["failover", "round_robin", "weighted", "least_busy"]),
        "round_robin",
        "which provider is asked first; all fail over to the rest",
    ),
    config_key(
        "channels.NAME.weights",
        ValueKind::Weights,
        "",
        "shares for `weighted`, one for each provider; 0 is a last resort",
    ),
    config_key(
        "channels.NAME.unknown",
        ValueKind::Choice(&["resend", "hold"]),
        "resend",
        "after a provider's silence: send again (better twice than never), or hold",
    ),
    config_key(
        "channels.NAME.bounce",
        ValueKind::Choice(&["fail", "resend"]),
        "fail",
        "after a receipt \"not delivered\": fail, or send once more through another provider",
    ),
    config_key(
        "channels.NAME.priority",
        ValueKind::Choice(&["high", "normal"]),
        "normal",
        "`high` goes before other channels",
    ),
    config_key(
        "channels.NAME.address",
        ValueKind::Choice(&["phone", "email", "push", "messenger", "url", "opaque", "mixed"]),
        "",
        "what its addresses are; by default what its providers want, `mixed` when that differs; where they take any, what the channel's name says, else `phone`",
    ),
    config_key(
        "channels.NAME.subject",
        ValueKind::Text,
        "",
        "the line above messages that bring none, where a provider has one: the subject of a mail, the title of a push",
    ),
    config_key(
        "channels.NAME.expects_reply",
        ValueKind::Flag,
        "false",
        "whether messages over it expect an answer from the user when their sender does not say",
    ),
    config_key(
        "channels.NAME.user_per_hour",
        PER_HOUR_COUNT,
        "",
        "as in `[throttle]`, for this channel, which then counts by itself",
    ),
    config_key(
        "channels.NAME.retry.base",
        ValueKind::Duration,
        "",
        "as in `[retry]`, for this channel",
    ),
    config_key(
        "channels.NAME.retry.factor",
        ValueKind::Number,
        "",
        "as in `[retry]`, for this channel",
    ),
    config_key(
        "channels.NAME.retry.cap",
        ValueKind::Duration,
        "",
        "as in `[retry]`, for this channel",
    ),
    config_key(
        "channels.NAME.retry.max_tries",
        POSITIVE_COUNT,
        "",
        "as in `[retry]`, for this channel",
    ),
    config_key(
        "channels.NAME.retry.max_age",
        ValueKind::Duration,
        "",
        "as in `[retry]`, for this channel",
    ),
    config_key(
        "providers.NAME.kind",
        ValueKind::Text,
        "",
        "which adapter speaks to it, such as `mock` or `http`; each kind has keys of its own",
    ),
    config_key(
        "providers.NAME.enabled",
        ValueKind::Flag,
        "true",
        "`false` leaves it out everywhere",
    ),
    config_key(
        "providers.NAME.rate",
        ValueKind::Number,
        "",
        "most message parts per second, from all hosts together; no limit when not given",
    ),
    config_key(
        "providers.NAME.concurrency",
        ValueKind::Count(1, 100_000),
        "256",
        "most calls in flight",
    ),
    config_key(
        "providers.NAME.connect_timeout",
        ValueKind::Duration,
        "3s",
        "how long connecting may take",
    ),
    config_key(
        "providers.NAME.timeout",
        ValueKind::Duration,
        "10s",
        "how long a whole call may take, connecting included",
    ),
    config_key(
        "providers.NAME.rest_after",
        POSITIVE_COUNT,
        "5",
        "consecutive failures after which it rests",
    ),
    config_key(
        "providers.NAME.rest_for",
        ValueKind::Duration,
        "30s",
        "how long its first rest is",
    ),
    config_key("keys.name", ValueKind::Text, "", "who, for the log"),
    config_key(
        "keys.sha256",
        ValueKind::Text,
        "",
        "SHA-256 of the key in hexadecimal (`printf %s KEY \\| sha256sum`)",
    ),
    config_key(
        "keys.key",
        ValueKind::Text,
        "",
        "instead of `sha256`: where the key is, `${env:NAME}` or `${file:PATH}`",
    ),
    config_key(
        "keys.scopes",
        ValueKind::List,
        "",
        "what it may be used for: `send`, `read`, `admin`",
    ),
    config_key(
        "keys.user_per_hour",
        PER_HOUR_COUNT,
        "",
        "as in `[throttle]`, for messages sent with this key, which then counts by itself",
    ),
    config_key(
        "keys.events_url",
        ValueKind::Text,
        "",
        "where the events of its messages go that name no `callback_url`",
    ),
    config_key(
        "keys.events_secrets",
        ValueKind::List,
        "",
        "as `events.secrets`, for its messages; several while the receiver changes from one to the next",
    ),
];

#[cfg(test)]
mod tests;
