//! The table of configuration keys: path, kind, default, description.

use super::config_key::{ConfigKey, USED_CHANNELS};
use super::value_kind::ValueKind::{
    self, Bytes, Choice, Count, Duration, DurationOrNever, Flag, List, Number, Text, Weights,
};

/// Number of messages per hour. At most 10,000, because the store keeps one timestamp per message in the user's row
/// (40 kB).
const PER_HOUR: ValueKind = Count(0, 10_000);

/// Number of text parts; the store counts them in 32 bits.
const TEXT_PARTS: ValueKind = Count(1, 4_000_000_000);

/// Number of copies after silence. At most 100, because more copies of a message harm its recipient more than
/// its loss.
const UNKNOWN_RETRIES: ValueKind = Count(0, 100);

const POSITIVE: ValueKind = Count(1, 1_000_000);

macro_rules! config_keys {
    ($($path:expr, $kind:expr, $default:literal, $description:literal;)*) => {
        /// All keys, in the order of `console.example.toml`.
        pub const CONFIG_KEYS: &[ConfigKey] = &[$(ConfigKey {
            path: $path,
            kind: $kind,
            default: $default,
            description: $description,
        }),*];
    };
}

config_keys! {
    "listen", Text, "127.0.0.1:8080", "address and port on which `serve` listens";
    "public_url", Text, "",
        "URL under which this gateway is reachable from outside, for receipts; default `http://` and `listen`";
    "insecure", Flag, "false", "allow `listen` on an address other than loopback without API keys";
    "trusted_proxies", List, "",
        "networks of proxies in front of this gateway, such as `10.0.0.0/8`: their connections are not limited by address, and the last address in their `X-Forwarded-For` is the client's; proxies on this machine are trusted without this";
    "region", Text, "IR", "region of phone numbers without a country code";
    "numbers", Choice(&["possible", "valid"]), "possible",
        "how strictly phone numbers are validated: a plausible length, or a number assigned in its region";
    "allow_premium_numbers", Flag, "false",
        "send to premium-rate and shared-cost phone numbers, whose owners earn money with each message";
    "mask_numbers", Flag, "true", "show `+98912***2222` on pages instead of whole numbers";
    USED_CHANNELS, List, "",
        "channels of messages that name none: of `POST /inbox/send` (default all) and of `POST /v1/messages` (default `sms`, or the first that takes phone numbers)";
    "log.format", Choice(&["text", "json"]), "text", "format of the log on stderr: lines of text, or one JSON object per line";
    "log.filter", Text, "",
        "which records are logged, by level and module (`info`, `warn,postrider=debug`); `POSTRIDER_LOG` and `-v` override it";
    "store.url", Text, "sqlite:postrider.db",
        "store: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?sslmode=MODE`";
    "store.replica_url", Text, "", "PostgreSQL replica for searches and the report; its data may be seconds old";
    "store.connections", Count(1, 1_000), "16", "maximum number of connections to each PostgreSQL server";
    "queue.url", Text, "memory:",
        "queue: `memory:`, `redis://HOST:PORT/DB`, `rediss://…`, `redis-cluster://HOST,HOST` or `redis+sentinel://HOST,HOST/MASTER`";
    "queue.window", Count(1, 10_000_000), "50000",
        "maximum number of entries in the queue; the store keeps the remaining deliveries";
    "cache.url", Text, "memory:", "cache of the report: `memory:` or `memcache://HOST:PORT`";
    "work.concurrency", Count(1, 100_000), "256", "maximum number of calls to providers in flight";
    "work.lease", Duration, "60s",
        "lease of a claimed delivery; longer than the slowest round of any channel";
    "work.grace", Duration, "20s", "time that requests and calls in flight have to end after SIGTERM";
    "schedule.resend", DurationOrNever, "1m",
        "interval at which `serve` enqueues due deliveries; `never` leaves it to cron";
    "schedule.report", DurationOrNever, "20m",
        "interval at which `serve` synchronises the report; `never` leaves it to cron";
    "limits.body_bytes_max", Bytes(1_024, 67_108_864), "65536", "maximum size of a request body";
    "limits.body_bytes_in_flight_max", Bytes(131_072, 17_179_869_184), "67108864",
        "maximum size of all request bodies in memory together; a request beyond it is answered with 503. At least twice `limits.body_bytes_max`; callers without a key may use half of it";
    "limits.header_bytes_max", Bytes(8_192, 1_048_576), "16384",
        "maximum size of request line and headers together";
    "limits.connections_max", POSITIVE, "10000", "maximum number of open connections; beyond it the longest idle one is closed";
    "limits.connections_per_peer_max", POSITIVE, "1000",
        "maximum number of open connections from one address (IPv6: one /64 network), except from this machine and `trusted_proxies`";
    "limits.wrong_keys_per_minute", Count(0, 1_000_000), "60",
        "number of wrong API keys from one address in a minute, after a burst of 20, beyond which its keys are answered with 429; 0 is no limit";
    "limits.header_timeout", Duration, "10s", "time that a client has to send request line and headers";
    "limits.body_timeout", Duration, "10s", "time that a client has to send a body";
    "limits.idle_timeout", Duration, "60s", "time that a connection may be idle between requests";
    "limits.message_chars_max", POSITIVE, "1600",
        "maximum length of a message, in characters";
    "limits.message_parts_max", Count(1, 255), "15",
        "maximum number of text parts of a message to a phone number, each of 153 characters, or 67 in an alphabet other than the Latin one";
    "limits.page_limit_max", Count(1, 1_000), "100", "maximum number of items on one page of a list";
    "limits.soft_bounces_max", Count(0, 50), "5",
        "number of bounces without a delivery between them after which an email address becomes inactive; 0 is never";
    "limits.idempotency_keep", Duration, "24h", "time that the answer for an idempotency key is kept";
    "throttle.user_per_hour", PER_HOUR, "300",
        "maximum number of messages that expect an answer, to one user in any 60 minutes; 0 is no limit";
    "events.secrets", List, "",
        "signing secrets for calls to a `callback_url`, newest first: `whsec_` and Base64, or `${env:NAME}`; create one with `console events secret`";
    "events.networks", List, "",
        "private networks to which calls are allowed, also over http: `10.0.0.0/8`";
    "events.ports", List, "443", "ports of public addresses to which calls are allowed, over https";
    "events.concurrency", Count(1, 10_000), "32", "maximum number of calls to webhook endpoints in flight";
    "events.concurrency_per_endpoint", Count(1, 1_000), "4",
        "maximum number of calls in flight to one endpoint: a host, or an API key with an `events_url`";
    "events.timeout", Duration, "15s", "timeout of a call to a webhook endpoint, connecting included";
    "events.retry_schedule", List, "5s,5m,30m,2h,5h,10h,14h,20h,24h",
        "delay after each failed delivery attempt; after the last one the event is a dead letter";
    "events.max_age", Duration, "96h",
        "age at which an event becomes a dead letter, whatever the number of attempts";
    "compat.kannel.enabled", Flag, "false", "serve the API of Kannel, `/cgi-bin/sendsms`, for the accounts with `user`";
    "compat.jasmin.enabled", Flag, "false",
        "serve the APIs of Jasmin, `/send`, `/rate`, `/balance`, `/ping` and `/secure/*`, for the accounts with `user`";
    "compat.twilio.enabled", Flag, "false",
        "serve the Messages API of Twilio, `/2010-04-01/Accounts/…`, for the accounts with `twilio_sid`";
    "compat.vonage.enabled", Flag, "false",
        "serve the SMS API of Vonage, `/sms/json`, for the accounts with `vonage_key`";
    "retry.base", Duration, "30s", "delay after the first failed round";
    "retry.factor", Number, "2", "factor by which each delay is longer than the one before";
    "retry.cap", Duration, "1h", "maximum delay";
    "retry.max_tries", POSITIVE, "30", "failed rounds after which a delivery fails";
    "retry.max_age", Duration, "24h", "age at which a delivery fails";
    "channels.NAME.enabled", Flag, "true", "`false` disables it; its waiting deliveries keep waiting";
    "channels.NAME.providers", List, "", "its providers, in order";
    "channels.NAME.strategy", Choice(&["failover", "round_robin", "weighted", "least_busy"]), "round_robin",
        "which provider is tried first; all strategies fail over to the others";
    "channels.NAME.weights", Weights, "",
        "shares for `weighted`, one for each provider; 0 is a last resort";
    "channels.NAME.unknown", Choice(&["resend", "hold"]), "resend",
        "after outcome `unknown`: send again as often as `unknown_retries` allows, or fail";
    "channels.NAME.unknown_retries", UNKNOWN_RETRIES, "1",
        "how often a message is sent again after outcome `unknown` (no answer after the request had left); then it fails as `unknown`";
    "channels.NAME.bounce", Choice(&["fail", "resend"]), "fail",
        "after a receipt \"not delivered\": fail, or send once more through another provider";
    "channels.NAME.priority", Choice(&["high", "normal"]), "normal", "`high` is sent before other channels";
    "channels.NAME.address",
        Choice(&["phone", "email", "push", "messenger", "url", "opaque", "mixed"]), "",
        "address kind of the channel; default: the kind of its providers, `mixed` when they differ; if they accept any text: the kind with the channel's name (`email`, `push`, …), else `phone`";
    "channels.NAME.subject", Text, "",
        "subject of messages without one, for providers that support it: of an e-mail, the title of a push notification";
    "channels.NAME.expects_reply", Flag, "false",
        "whether messages expect an answer from the user when the request does not say";
    "channels.NAME.user_per_hour", PER_HOUR, "", "as in `[throttle]`, counted for this channel alone";
    "channels.NAME.countries", List, "",
        "countries whose phone numbers it sends to, such as `[\"IR\", \"DE\"]`; all when not given";
    "channels.NAME.retry.base", Duration, "", "as in `[retry]`, for this channel";
    "channels.NAME.retry.factor", Number, "", "as in `[retry]`, for this channel";
    "channels.NAME.retry.cap", Duration, "", "as in `[retry]`, for this channel";
    "channels.NAME.retry.max_tries", POSITIVE, "", "as in `[retry]`, for this channel";
    "channels.NAME.retry.max_age", Duration, "", "as in `[retry]`, for this channel";
    "providers.NAME.kind", Text, "", "adapter, such as `mock` or `http`; each kind has its own keys";
    "providers.NAME.enabled", Flag, "true", "`false` disables it in all channels";
    "providers.NAME.rate", Number, "",
        "maximum number of message parts per second, for all processes together; no limit when not given";
    "providers.NAME.burst", Number, "0.05",
        "share of `rate` that may be sent at once, at least one part: no second has more parts than `rate` and `burst` together";
    "providers.NAME.concurrency", Count(1, 100_000), "256", "maximum number of calls in flight; default for kind `smtp`: `8`";
    "providers.NAME.connect_timeout", Duration, "3s", "timeout for connecting";
    "providers.NAME.timeout", Duration, "10s", "timeout of a whole call, connecting included";
    "providers.NAME.unknown_retries", UNKNOWN_RETRIES, "",
        "as `channels.NAME.unknown_retries`, for outcomes of this provider; the smaller of the two holds";
    "providers.NAME.breaker_failure_threshold", POSITIVE, "5",
        "its circuit breaker opens when at least this many calls failed, and these are at least half of the calls of the last 10 s (or of the last 10 calls)";
    "providers.NAME.breaker_open_duration", Duration, "30s",
        "how long its circuit breaker stays open the first time";
    "providers.NAME.cooldown_max", Duration, "15m",
        "longest cooldown that it can ask for (`Retry-After`), at most `24h`";
    "keywords.channel", Text, "",
        "channel whose inbound messages the table is for; default: all channels. The first table that fits counts";
    "keywords.sender", Text, "",
        "our number or name to which people write and for which the table is; default: every one";
    "keywords.languages", List, "",
        "languages of the built-in keywords: `en`, `fr`, `es`, `fa`; default: all";
    "keywords.opt_out", List, "", "opt-out keywords instead of the built-in ones";
    "keywords.opt_in", List, "", "opt-in keywords instead of the built-in ones";
    "keywords.help", List, "", "help keywords instead of the built-in ones";
    "keywords.without", List, "", "keywords that mean nothing, such as `CANCEL` and `END`";
    "keywords.help_reply", Text, "", "text that a help keyword is answered with; default: no answer";
    "keywords.opt_out_reply", Text, "",
        "text that confirms an opt-out, sent once although the person has opted out; default: none";
    "keywords.opt_in_reply", Text, "", "text that confirms an opt-in, sent once; default: none";
    "inbound.name", Text, "", "name of the route of inbound messages. The first route that fits counts";
    "inbound.to", List, "", "our numbers or names to which people write; default: every one";
    "inbound.keyword", List, "", "first words of the texts; default: every text";
    "inbound.pattern", Text, "", "regular expression that a text has to match, such as `(?i)^order \\d+`";
    "inbound.provider", Text, "", "provider that delivers the texts; default: every one";
    "inbound.account", Text, "",
        "name in `[[keys]]` of the caller that reads the messages and sends the replies; default: only the scope `admin` reads them";
    "inbound.webhook", Text, "",
        "URL that gets the signed event `message.received`; `account`: `events_url` of the account";
    "inbound.get_url", Text, "",
        "URL with `%` escapes that is called as Kannel does; a text in the answer is the reply";
    "inbound.twilio_url", Text, "", "URL that gets the form of Twilio; TwiML in the answer is the reply";
    "inbound.email", Text, "", "e-mail address that the texts are forwarded to";
    "inbound.email_channel", Text, "", "channel of these e-mails; needed with `email`";
    "keys.name", Text, "", "name of the caller, for the log";
    "keys.sha256", Text, "", "SHA-256 of the key in hexadecimal (`printf %s KEY \\| sha256sum`)";
    "keys.key", Text, "", "instead of `sha256`: where the key is, `${env:NAME}` or `${file:PATH}`";
    "keys.scopes", List, "", "permissions: `send`, `read`, `admin`";
    "keys.user_per_hour", PER_HOUR, "",
        "as in `[throttle]`, counted for messages with this key alone";
    "keys.per_minute", TEXT_PARTS, "",
        "maximum number of text parts that it may send in a calendar minute, over all recipients and processes";
    "keys.per_day", TEXT_PARTS, "", "the same for a day in UTC";
    "keys.per_month", TEXT_PARTS, "", "the same for a calendar month in UTC";
    "keys.countries", List, "",
        "countries whose phone numbers it sends to, in addition to the channel's rule; all when not given";
    "keys.shared", Flag, "false",
        "share what it accepts with all keys that have `shared = true`; otherwise only it and keys with the scope `admin` read and change that";
    "keys.user", Text, "", "user name of the Kannel and Jasmin APIs";
    "keys.password", Text, "", "password of `user`: where it is, as for `key`";
    "keys.twilio_sid", Text, "", "account SID of the Twilio API: `AC` and 32 hexadecimal digits";
    "keys.twilio_token", Text, "", "auth token of `twilio_sid`; it also signs callbacks";
    "keys.vonage_key", Text, "", "API key of the Vonage API";
    "keys.vonage_secret", Text, "", "API secret of `vonage_key`";
    "keys.smpp_system_id", Text, "", "reserved for an SMPP server, which this version does not have: at most 15 characters";
    "keys.smpp_password", Text, "",
        "reserved: password of `smpp_system_id`";
    "keys.networks", List, "", "networks from which it is used, such as `192.0.2.0/24`; all when not given";
    "keys.senders", List, "", "senders that its messages may name; all when not given";
    "keys.default_sender", Text, "", "sender of its messages that name none; default: the sender of the provider";
    "keys.channel", Text, "", "channel of messages from APIs that name none; default: the first channel";
    "keys.prefixes", List, "",
        "beginnings of the phone numbers that it sends to, such as `+98912`; all when not given";
    "keys.rate", POSITIVE, "",
        "maximum number of text parts in a second for each process, after a burst of as many, at least 10";
    "keys.smpp_sessions_max", Count(0, 10_000), "10", "reserved: maximum number of its SMPP sessions for each process";
    "keys.events_url", Text, "", "webhook endpoint for the events of its messages without a `callback_url`";
    "keys.events_secrets", List, "",
        "as `events.secrets`, for its messages; several while the endpoint changes from one to the next";
}
