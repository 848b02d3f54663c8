//! Every key of the configuration, once: what the reader accepts, what the environment may override, what the
//! README's table and `console.example.toml` must show.
//!
//! A path with `NAME` in it stands for each channel or provider; such keys have no environment variable.

mod words;

pub use words::{Kind, markdown_table};

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Where it stands in the file: `work.lease`, `channels.NAME.strategy`.
    pub path: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// What is taken when it is not given; empty where there is nothing or where it follows from other keys.
    pub default: &'static str,
    /// What it is for, in one line.
    pub meaning: &'static str,
}

impl Row {
    /// The environment variable that overrides it; none for the keys of named tables.
    pub fn environment_name(&self) -> Option<String> {
        if self.path == USED_CHANNELS {
            return Some("USED_CHANNELS".to_owned());
        }
        let named = self.path.contains("NAME") || self.path.starts_with("keys.");
        (!named).then(|| format!("POSTRIDER_{}", self.path.to_uppercase().replace('.', "_")))
    }
}

/// Variables that belong to the program without being keys: the file's own path, and what is logged.
pub const OTHER_VARIABLES: [&str; 2] = ["POSTRIDER_CONFIG", "POSTRIDER_LOG"];

/// Where the environment may say what is logged (`warn`, `info,postrider=debug`), the first that is set.
pub const LOG_VARIABLES: [&str; 2] = ["POSTRIDER_LOG", "RUST_LOG"];

/// The row at that path.
pub fn row(path: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.path == path)
}

/// The last parts of all paths that begin with `prefix` (`work.`, or nothing for the top level).
pub fn names_below(prefix: &str) -> impl Iterator<Item = &'static str> {
    let mut seen = "";
    ROWS.iter()
        .filter_map(move |row| row.path.strip_prefix(prefix))
        .map(|rest| rest.split('.').next().unwrap_or(rest))
        .filter(move |name| std::mem::replace(&mut seen, name) != *name)
}

const fn key(path: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Row {
    Row {
        path,
        kind,
        default,
        meaning,
    }
}

/// The one key whose variable has the name that another program gave it.
const USED_CHANNELS: &str = "used_channels";

/// A user's row in the store holds so many times at most: 40 kB.
const PER_HOUR: Kind = Kind::Count(0, 10_000);

const MANY: Kind = Kind::Count(1, 1_000_000);

/// Every key, in the order of `console.example.toml`.
pub const ROWS: &[Row] = &[
    key(
        "listen",
        Kind::Text,
        "127.0.0.1:8080",
        "address and port that `serve` listens on",
    ),
    key(
        "public_url",
        Kind::Text,
        "",
        "how the outside reaches this gateway, for receipts; `http://` and `listen` when not given",
    ),
    key(
        "insecure",
        Kind::Flag,
        "false",
        "serve addresses other than loopback without keys",
    ),
    key(
        "region",
        Kind::Text,
        "IR",
        "region of phone numbers without a country code",
    ),
    key(
        "numbers",
        Kind::Choice(&["possible", "valid"]),
        "possible",
        "how strictly a phone number is judged: a plausible length, or one its region has given out",
    ),
    key(
        "mask_numbers",
        Kind::Flag,
        "true",
        "show `+98912***2222` on pages instead of whole numbers",
    ),
    key(
        USED_CHANNELS,
        Kind::List,
        "",
        "channels of messages that name none: of `POST /inbox/send` (all when not given) and of `POST /v1/messages` (`sms`, or the first that takes phone numbers)",
    ),
    key(
        "store.url",
        Kind::Text,
        "sqlite:postrider.db",
        "where messages are kept: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?sslmode=MODE`",
    ),
    key(
        "store.replica_url",
        Kind::Text,
        "",
        "a PostgreSQL replica that searches and the report are read from; they may be seconds old",
    ),
    key(
        "store.connections",
        Kind::Count(1, 1_000),
        "16",
        "most connections to each PostgreSQL server",
    ),
    key(
        "queue.url",
        Kind::Text,
        "memory:",
        "where ids wait for a worker: `memory:`, `redis://HOST:PORT/DB`, `rediss://…`, `redis-cluster://HOST,HOST` or `redis+sentinel://HOST,HOST/MASTER`",
    ),
    key(
        "queue.window",
        Kind::Count(1, 10_000_000),
        "50000",
        "most ids the queue holds; the store holds the rest",
    ),
    key(
        "cache.url",
        Kind::Text,
        "memory:",
        "where the report is remembered: `memory:` or `memcache://HOST:PORT`",
    ),
    key(
        "work.concurrency",
        Kind::Count(1, 100_000),
        "256",
        "most calls to providers in flight at once",
    ),
    key(
        "work.lease",
        Kind::Duration,
        "60s",
        "how long a worker owns a delivery; longer than the slowest round of any channel",
    ),
    key(
        "work.grace",
        Kind::Duration,
        "20s",
        "how long requests and calls in flight may take to end after SIGTERM",
    ),
    key(
        "schedule.resend",
        Kind::DurationOrNever,
        "1m",
        "how often `serve` queues what is due; `never` leaves it to cron",
    ),
    key(
        "schedule.report",
        Kind::DurationOrNever,
        "20m",
        "how often `serve` brings the report up to date; `never` leaves it to cron",
    ),
    key(
        "limits.body_bytes_max",
        Kind::Bytes(1_024, 67_108_864),
        "65536",
        "longest request body",
    ),
    key(
        "limits.header_bytes_max",
        Kind::Bytes(8_192, 1_048_576),
        "16384",
        "longest request line and headers together",
    ),
    key("limits.connections_max", MANY, "10000", "most open connections"),
    key(
        "limits.header_timeout",
        Kind::Duration,
        "10s",
        "how long a client may take to send line and headers",
    ),
    key(
        "limits.body_timeout",
        Kind::Duration,
        "10s",
        "how long a client may take to send a body",
    ),
    key(
        "limits.idle_timeout",
        Kind::Duration,
        "60s",
        "how long a connection may lie idle between requests",
    ),
    key(
        "limits.message_chars_max",
        MANY,
        "1600",
        "longest message, in characters; ten text parts and a little more",
    ),
    key(
        "limits.page_limit_max",
        Kind::Count(1, 1_000),
        "100",
        "most lines on one page of a list",
    ),
    key(
        "limits.idempotency_keep",
        Kind::Duration,
        "24h",
        "how long the answer for an idempotency key is kept",
    ),
    key(
        "throttle.user_per_hour",
        PER_HOUR,
        "300",
        "most messages that expect an answer, to one user in any 60 minutes; 0 is no limit",
    ),
    key(
        "events.secrets",
        Kind::List,
        "",
        "what calls to a `callback_url` are signed with, newest first: `whsec_` and Base64, or `${env:NAME}`; make one with `console events secret`",
    ),
    key(
        "events.networks",
        Kind::List,
        "",
        "networks that may be called although they are not public, also over http: `10.0.0.0/8`",
    ),
    key(
        "events.ports",
        Kind::List,
        "443",
        "ports of public addresses that may be called, over https",
    ),
    key(
        "events.concurrency",
        Kind::Count(1, 10_000),
        "32",
        "most calls to receivers of events in flight at once",
    ),
    key(
        "events.per_receiver",
        Kind::Count(1, 1_000),
        "4",
        "most of them to one host, or for one key with an `events_url`",
    ),
    key(
        "events.timeout",
        Kind::Duration,
        "15s",
        "how long a receiver may take to answer, connecting included",
    ),
    key(
        "events.waits",
        Kind::List,
        "5s,5m,30m,2h,5h,10h,14h,20h,24h",
        "wait after each failed call; after the last one the event is dead",
    ),
    key(
        "events.max_age",
        Kind::Duration,
        "96h",
        "age at which an event is dead, however seldom it was tried",
    ),
    key(
        "retry.base",
        Kind::Duration,
        "30s",
        "wait after the first failed round",
    ),
    key(
        "retry.factor",
        Kind::Number,
        "2",
        "by how much each wait is longer than the one before",
    ),
    key("retry.cap", Kind::Duration, "1h", "longest wait"),
    key(
        "retry.max_tries",
        MANY,
        "30",
        "failed rounds after which a delivery is given up",
    ),
    key(
        "retry.max_age",
        Kind::Duration,
        "24h",
        "age at which a delivery is given up",
    ),
    key(
        "channels.NAME.enabled",
        Kind::Flag,
        "true",
        "`false` leaves it out everywhere; what waits for it goes on waiting",
    ),
    key(
        "channels.NAME.providers",
        Kind::List,
        "",
        "its providers, in order",
    ),
    key(
        "channels.NAME.strategy",
        Kind::Choice(&["failover", "round_robin", "weighted", "least_busy"]),
        "round_robin",
        "which provider is asked first; all fail over to the rest",
    ),
    key(
        "channels.NAME.weights",
        Kind::Weights,
        "",
        "shares for `weighted`, one for each provider; 0 is a last resort",
    ),
    key(
        "channels.NAME.unknown",
        Kind::Choice(&["resend", "hold"]),
        "resend",
        "after a provider's silence: send again (better twice than never), or hold",
    ),
    key(
        "channels.NAME.bounce",
        Kind::Choice(&["fail", "resend"]),
        "fail",
        "after a receipt \"not delivered\": fail, or send once more through another provider",
    ),
    key(
        "channels.NAME.priority",
        Kind::Choice(&["high", "normal"]),
        "normal",
        "`high` goes before other channels",
    ),
    key(
        "channels.NAME.address",
        Kind::Choice(&["phone", "email", "push", "messenger", "url", "opaque", "mixed"]),
        "",
        "what its addresses are; by default what its providers want, `mixed` when that differs; where they take any, what the channel's name says, else `phone`",
    ),
    key(
        "channels.NAME.subject",
        Kind::Text,
        "",
        "the line above messages that bring none, where a provider has one: the subject of a mail, the title of a push",
    ),
    key(
        "channels.NAME.expects_reply",
        Kind::Flag,
        "false",
        "whether messages over it expect an answer from the user when their sender does not say",
    ),
    key(
        "channels.NAME.user_per_hour",
        PER_HOUR,
        "",
        "as in `[throttle]`, for this channel, which then counts by itself",
    ),
    key(
        "channels.NAME.retry.base",
        Kind::Duration,
        "",
        "as in `[retry]`, for this channel",
    ),
    key(
        "channels.NAME.retry.factor",
        Kind::Number,
        "",
        "as in `[retry]`, for this channel",
    ),
    key(
        "channels.NAME.retry.cap",
        Kind::Duration,
        "",
        "as in `[retry]`, for this channel",
    ),
    key(
        "channels.NAME.retry.max_tries",
        MANY,
        "",
        "as in `[retry]`, for this channel",
    ),
    key(
        "channels.NAME.retry.max_age",
        Kind::Duration,
        "",
        "as in `[retry]`, for this channel",
    ),
    key(
        "providers.NAME.kind",
        Kind::Text,
        "",
        "which adapter speaks to it, such as `mock` or `http`; each kind has keys of its own",
    ),
    key(
        "providers.NAME.enabled",
        Kind::Flag,
        "true",
        "`false` leaves it out everywhere",
    ),
    key(
        "providers.NAME.rate",
        Kind::Number,
        "",
        "most message parts per second, from all hosts together; no limit when not given",
    ),
    key(
        "providers.NAME.concurrency",
        Kind::Count(1, 100_000),
        "256",
        "most calls in flight",
    ),
    key(
        "providers.NAME.connect_timeout",
        Kind::Duration,
        "3s",
        "how long connecting may take",
    ),
    key(
        "providers.NAME.timeout",
        Kind::Duration,
        "10s",
        "how long a whole call may take, connecting included",
    ),
    key(
        "providers.NAME.rest_after",
        MANY,
        "5",
        "consecutive failures after which it rests",
    ),
    key(
        "providers.NAME.rest_for",
        Kind::Duration,
        "30s",
        "how long its first rest is",
    ),
    key("keys.name", Kind::Text, "", "who, for the log"),
    key(
        "keys.sha256",
        Kind::Text,
        "",
        "SHA-256 of the key in hexadecimal (`printf %s KEY \\| sha256sum`)",
    ),
    key(
        "keys.key",
        Kind::Text,
        "",
        "instead of `sha256`: where the key is, `${env:NAME}` or `${file:PATH}`",
    ),
    key(
        "keys.scopes",
        Kind::List,
        "",
        "what it may be used for: `send`, `read`, `admin`",
    ),
    key(
        "keys.user_per_hour",
        PER_HOUR,
        "",
        "as in `[throttle]`, for messages sent with this key, which then counts by itself",
    ),
    key(
        "keys.events_url",
        Kind::Text,
        "",
        "where the events of its messages go that name no `callback_url`",
    ),
    key(
        "keys.events_secrets",
        Kind::List,
        "",
        "as `events.secrets`, for its messages; several while the receiver changes from one to the next",
    ),
];

#[cfg(test)]
mod tests;
