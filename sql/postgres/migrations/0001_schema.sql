-- The whole schema. Conventions for every table:
--
-- * Times are milliseconds since 1970-01-01 UTC, unless the column name says hour or micros.
-- * States, outcomes and kinds are words, so that queries written by hand read well.
-- * The CHECK constraints refuse rows that the state machine cannot produce.
-- * PostgreSQL cannot store U+0000 in text. In free text (body, user, spelling, reason, code, reference) it is stored
--   as U+001A "0", and U+001A itself as U+001A "1".
-- * Text columns that are read in sorted order have COLLATE "C", so that the order does not depend on the locale.
--
-- The tables `messages`, `deliveries` and `attempts` are partitioned by range of message numbers, see `partitions`.

-- Messages and deliveries -------------------------------------------------------------------------

-- Gives out the numbers of messages. A number is never used twice.
CREATE SEQUENCE message_numbers;

-- One row per accepted message.
CREATE TABLE messages (
    -- Running number. The partition that is written to changes every month, so numbers have gaps.
    number       BIGINT PRIMARY KEY,
    -- The public identifier, a UUID. It is unique within a partition only: PostgreSQL enforces uniqueness across
    -- partitions only for columns that contain the partition key. Ids begin with the time, so this is enough.
    id           BYTEA NOT NULL CHECK (length(id) = 16),
    body         TEXT NOT NULL,
    -- The user that the client named, or NULL.
    "user"       TEXT,
    created_at   BIGINT NOT NULL,
    -- Subject line, for channels that have one.
    subject      TEXT,
    -- The webhook endpoint that receives the events of this message: a callback URL and the name of an API key with a
    -- blank between them; either part may be empty. NULL when the client did not ask for events.
    event_target TEXT,
    -- The name of the API key that accepted the message. Empty without keys, and for keys that share.
    owner        TEXT NOT NULL DEFAULT '',
    -- 1: the message is not sent again once a copy may have left.
    at_most_once BIGINT NOT NULL DEFAULT 0 CHECK (at_most_once IN (0, 1)),
    -- The expiry that the client asked for, or NULL. deliveries.expires_at also has the age limit of the channel, which
    -- moves while a provider asks to wait.
    expires_at   BIGINT,
    -- The sender that the client named, or the default sender of its account. NULL: the sender of the provider.
    sender       TEXT
) PARTITION BY RANGE (number);

-- Messages of one user, for the inbox and for usage. Messages without a user are not indexed.
CREATE INDEX messages_user ON messages ("user", number) WHERE "user" IS NOT NULL;

-- Messages of one API key, newest first. Messages that belong to no single key are not indexed.
CREATE INDEX messages_owner ON messages (owner, number) WHERE owner <> '';

-- The first message number accepted in one hour, or a smaller one. Replaces an index on messages.created_at with a few
-- rows.
CREATE TABLE message_hours (
    -- Hours since 1970.
    hour         BIGINT PRIMARY KEY,
    first_number BIGINT NOT NULL
);

-- One row per delivery: one message over one channel to one recipient, with its state.
CREATE TABLE deliveries (
    -- messages.number * 64 + position of the delivery in its message (0 to 63).
    id               BIGINT PRIMARY KEY,
    channel          TEXT NOT NULL,
    -- The normalised address, and the address as the client wrote it.
    address          TEXT NOT NULL,
    spelling         TEXT NOT NULL,
    -- Number of SMS parts; 1 on other channels.
    parts            BIGINT NOT NULL,
    -- 0 is sent before 1.
    priority         BIGINT NOT NULL CHECK (priority IN (0, 1)),
    state            TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'delivered', 'failed')),
    -- Kind of failure, set only in state 'failed'; `reason` explains it in words.
    failure          TEXT CHECK (
        failure IN (
            'rejected', 'invalid_recipient', 'suppressed', 'exhausted', 'expired', 'bounced', 'cancelled', 'unknown'
        )
    ),
    reason           TEXT,
    -- Number of claims so far, without those in `leases.claims`. The sum is the fencing token: only the worker of the
    -- current round may record its result.
    round            BIGINT NOT NULL DEFAULT 0,
    -- The last round whose result was recorded. It is less than `round` only in rows that `console move` copied while a
    -- worker held the lease, or from SQLite.
    recorded         BIGINT NOT NULL DEFAULT 0,
    -- Rounds that used up a try.
    tries            BIGINT NOT NULL DEFAULT 0,
    -- The number of times that the delivery may still be sent again after a bounce.
    resends_left     BIGINT NOT NULL,
    -- The provider that accepted the delivery last, and its reference for it.
    provider         TEXT,
    reference        TEXT,
    -- A provider that bounced the delivery: later rounds skip it, unless the channel has no other.
    avoid            TEXT,
    -- When the delivery is due, unless its lease in `leases` expires later. In other states it is set only in rows that
    -- `console move` copied from SQLite, while a round is not recorded whose lease it ends.
    due_at           BIGINT,
    expires_at       BIGINT NOT NULL,
    -- When it was sent, delivered or failed.
    ended_at         BIGINT,
    opened_at        BIGINT,
    -- True if the delivery changed after it was accepted or last counted by the rollups. Deliveries above
    -- `meta.rollup_position` were never counted, even if this column is false.
    rollup_pending   BOOLEAN NOT NULL DEFAULT FALSE,
    -- The values with which the rollups last counted this delivery.
    counted_state    TEXT,
    counted_failure  TEXT,
    counted_provider TEXT,
    counted_opened   BOOLEAN,
    counted_attempts BIGINT,
    -- All addresses of the recipient on a channel that mixes kinds of addresses: one line each, with kind, address and
    -- spelling separated by tabs. NULL when there is one address only.
    contacts         TEXT,
    CHECK (state <> 'waiting' OR due_at IS NOT NULL),
    CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CHECK ((state = 'failed') = (failure IS NOT NULL)),
    CHECK (state <> 'failed' OR reason IS NOT NULL),
    CHECK (state IN ('waiting', 'failed') OR provider IS NOT NULL),
    CHECK (reference IS NULL OR provider IS NOT NULL),
    CHECK (opened_at IS NULL OR state = 'delivered'),
    CHECK (recorded BETWEEN 0 AND round)
) PARTITION BY RANGE (id);

-- Due deliveries are read channel by channel, so that a channel without capacity costs nothing.
-- The id is included, so that the oldest delivery is found while counting, from the index alone.
CREATE INDEX deliveries_due ON deliveries (channel, priority, due_at) INCLUDE (id) WHERE state = 'waiting';
-- Settled deliveries with a round that was never recorded: almost none.
CREATE INDEX deliveries_unrecorded ON deliveries (due_at) WHERE due_at IS NOT NULL AND state <> 'waiting';
-- Search by state, in the order of the ids.
CREATE INDEX deliveries_ended ON deliveries (state, id) WHERE state <> 'waiting';
CREATE INDEX deliveries_address ON deliveries (address, id);
-- Deliveries that the rollups have to count again.
CREATE INDEX deliveries_rollup_pending ON deliveries (id) WHERE rollup_pending;

-- One row per attempt: one call to one provider for a delivery.
CREATE TABLE attempts (
    delivery    BIGINT NOT NULL,
    -- Number of the attempt within the delivery, from 0, in the order in which attempts were recorded.
    sequence    BIGINT NOT NULL,
    round       BIGINT NOT NULL,
    -- NULL when the worker died before it could record which provider it called.
    provider    TEXT,
    outcome     TEXT NOT NULL,
    -- The provider's own result code.
    code        TEXT,
    -- The provider's id of this copy of the message, when it accepted it.
    reference   TEXT,
    reason      TEXT,
    -- When the call began.
    at          BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    -- The address that was used, when the delivery has several.
    address     TEXT,
    PRIMARY KEY (delivery, sequence)
) PARTITION BY RANGE (delivery);

-- Finds the copy that a receipt is about.
CREATE INDEX attempts_reference ON attempts (reference, delivery, sequence) WHERE reference IS NOT NULL;

-- The first partition. Later ones are made ahead of time in the same way, each for 2^36 message numbers. The indexes of
-- the tables above have to exist by now, because the partitions copy them.
CREATE TABLE messages_0 (LIKE messages INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE messages_0 ADD UNIQUE (id);
CREATE TABLE deliveries_0 (LIKE deliveries INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
CREATE TABLE attempts_0 (LIKE attempts INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE messages ATTACH PARTITION messages_0 FOR VALUES FROM (MINVALUE) TO (68719476736);
ALTER TABLE deliveries ATTACH PARTITION deliveries_0 FOR VALUES FROM (MINVALUE) TO (4398046511104);
ALTER TABLE attempts ATTACH PARTITION attempts_0 FOR VALUES FROM (MINVALUE) TO (4398046511104);

-- The partitions that exist: partition N consists of messages_N, deliveries_N and attempts_N. At the beginning of a
-- month the message numbers jump to the next partition, so that a month can be dropped as a whole.
CREATE TABLE partitions (
    partition_number BIGINT PRIMARY KEY,
    -- The month in which the partition was begun, counted from January of the year 0 in UTC. NULL before that.
    month            BIGINT,
    -- The partition is detached and will be dropped when the rollups have counted it.
    is_detached      BOOLEAN NOT NULL DEFAULT FALSE
);

INSERT INTO partitions (partition_number) VALUES (0);

-- Leases: which deliveries are claimed. A claim writes one narrow row here instead of a wide, indexed row of
-- `deliveries`; recording the result adds `claims` to deliveries.round and deletes the row.
CREATE TABLE leases (
    -- deliveries.id
    id               BIGINT PRIMARY KEY,
    -- Rounds since the last recorded one. 0 only inside a transaction that cancels or requeues the delivery: the row
    -- then keeps workers from claiming it.
    claims           BIGINT NOT NULL CHECK (claims >= 0),
    -- When the lease expires.
    lease_expires_at BIGINT NOT NULL
) WITH (
    -- Rows live for seconds, so the table is vacuumed and analysed after every 20,000 changes and without pauses, and
    -- pages keep room for updates in place.
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 20000
);

-- Idempotency keys: a repeated request with the same key gets the first answer.
CREATE TABLE idempotency_keys (
    -- SHA-256 of the key, and of the request it came with.
    key        BYTEA PRIMARY KEY CHECK (length(key) = 32),
    request    BYTEA NOT NULL CHECK (length(request) = 32),
    -- The message (or broadcast) that was stored for it: its number and its public id.
    number     BIGINT NOT NULL,
    message    BYTEA NOT NULL CHECK (length(message) = 16),
    expires_at BIGINT NOT NULL
);

CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);

-- Receipts that arrived before the send they belong to was recorded. They are applied when it is recorded.
CREATE TABLE unmatched_receipts (
    reference   TEXT NOT NULL,
    -- Empty when the receipt does not say which provider it comes from; it then matches any provider.
    provider    TEXT NOT NULL,
    -- The only recipient whose messages it may concern, if a phone may have written it; otherwise empty.
    sender      TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('delivered', 'bounced', 'invalid', 'opened')),
    reason      TEXT,
    -- The time of the change according to the provider, and the time at which the receipt arrived.
    at          BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    -- A provider that repeats a receipt adds no row.
    PRIMARY KEY (reference, provider, sender, status)
);

CREATE INDEX unmatched_receipts_received_at ON unmatched_receipts (received_at);

-- Recipients --------------------------------------------------------------------------------------

-- The status of recipients whose status was ever set. A recipient without a row is active.
CREATE TABLE recipients (
    channel    TEXT NOT NULL,
    address    TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('active', 'inactive', 'opted_out')),
    reason     TEXT NOT NULL,
    -- The cause of the change, for example a provider.
    changed_by TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (channel, address)
);

-- Inbound messages that were handled as an opt-out or opt-in. A message that a provider delivers twice is ignored.
CREATE TABLE opt_messages (
    provider    TEXT NOT NULL,
    -- The provider's own id of the inbound message.
    reference   TEXT NOT NULL,
    channel     TEXT NOT NULL,
    address     TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (provider, reference, channel, address)
);

CREATE INDEX opt_messages_received_at ON opt_messages (received_at);

-- Throttles: when a user was last sent messages that expect an answer, and the text parts that an API key was allowed
-- in this minute and on this day. One row per subject and scope, so that a limit costs one read and one write however
-- high it is.
CREATE TABLE user_throttles (
    -- SHA-256 of the user or the API key, and of the scope.
    subject      BYTEA PRIMARY KEY CHECK (length(subject) = 32),
    -- Of a user: the first time in milliseconds, then 32-bit differences. Of an API key: the begin of the window in
    -- milliseconds, then the number of parts.
    times        BYTEA NOT NULL,
    -- The hour since 1970 from which on the row can be deleted. An hour, not a millisecond, so that the index rarely
    -- changes and a row is updated on its own page.
    expires_hour BIGINT NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX user_throttles_expires_hour ON user_throttles (expires_hour);

-- Users and broadcasts ----------------------------------------------------------------------------

-- Registered users. They are numbered without gaps in the order of registration and never deleted, so that a broadcast
-- to all users stores only the last number.
CREATE TABLE users (
    -- The client's own identifier of the user. Each owner has its own identifiers.
    id         TEXT NOT NULL,
    -- The name of the API key that registered the user. Empty without keys, and for keys that share.
    owner      TEXT NOT NULL DEFAULT '',
    number     BIGINT NOT NULL UNIQUE,
    name       TEXT,
    -- One line per address: kind, address and spelling separated by tabs.
    contacts   TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id, owner)
);

-- The users of one owner, in the order of registration.
CREATE INDEX users_owner ON users (owner, number);

-- One row per broadcast: one body to many users.
CREATE TABLE broadcasts (
    number           BIGINT PRIMARY KEY,
    -- The public identifier, a UUID.
    id               BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    body             TEXT NOT NULL,
    channel          TEXT NOT NULL,
    -- The name of the API key that created it; empty when no keys are configured.
    caller           TEXT NOT NULL,
    -- The owner of its messages and users: the name of the API key. Empty without keys, and for keys that share.
    owner            TEXT NOT NULL DEFAULT '',
    created_at       BIGINT NOT NULL,
    -- 1: to all users up to number last_user; 0: to the users in broadcast_users.
    to_all           BIGINT NOT NULL CHECK (to_all IN (0, 1)),
    last_user        BIGINT NOT NULL,
    -- The number of users that it is sent to.
    users            BIGINT NOT NULL,
    -- Fan-out progress: the number of the last user that was processed. It changes in the transaction that stores the
    -- messages, so that no user gets two messages and none is left out.
    fan_out_position BIGINT NOT NULL DEFAULT 0,
    -- Messages stored, users without an address on the channel, and messages that were not accepted.
    messages         BIGINT NOT NULL DEFAULT 0,
    unreachable      BIGINT NOT NULL DEFAULT 0,
    refused          BIGINT NOT NULL DEFAULT 0,
    -- 1 when the fan-out is complete.
    is_fanned_out    BIGINT NOT NULL DEFAULT 0 CHECK (is_fanned_out IN (0, 1))
);

-- Broadcasts whose fan-out is not complete.
CREATE INDEX broadcasts_fan_out_pending ON broadcasts (number) WHERE is_fanned_out = 0;

-- The users of a broadcast that does not go to all.
CREATE TABLE broadcast_users (
    broadcast   BIGINT NOT NULL,
    user_number BIGINT NOT NULL,
    PRIMARY KEY (broadcast, user_number)
);

-- The messages of a broadcast, as ranges of message numbers without gaps: a thousand messages stored in one transaction
-- are one row.
CREATE TABLE broadcast_messages (
    first_number BIGINT PRIMARY KEY,
    last_number  BIGINT NOT NULL,
    broadcast    BIGINT NOT NULL,
    CHECK (last_number >= first_number)
);

CREATE INDEX broadcast_messages_broadcast ON broadcast_messages (broadcast);

-- Inbound messages ---------------------------------------------------------------------------------

-- Texts that people sent to our numbers, stored before the provider's callback is answered.
CREATE TABLE inbound_messages (
    -- The public identifier, a UUID of version 7: its order is the order of arrival.
    id                 BYTEA PRIMARY KEY CHECK (length(id) = 16),
    provider           TEXT NOT NULL,
    -- The provider's own id of the text, or NULL.
    reference          TEXT,
    -- The channel over which a reply goes, or NULL.
    channel            TEXT,
    -- The normalised address of the person, and our number or name as the provider writes it.
    sender             TEXT NOT NULL,
    receiver           TEXT NOT NULL,
    body               TEXT NOT NULL,
    -- 1: the text lacks parts that did not arrive in time.
    is_incomplete      BIGINT NOT NULL CHECK (is_incomplete IN (0, 1)),
    -- The time that the provider states, and the time of arrival.
    sent_at            BIGINT NOT NULL,
    received_at        BIGINT NOT NULL,
    -- What the text asked for with a keyword, and 1 if it changed the status of its sender.
    action             TEXT NOT NULL CHECK (action IN ('none', 'opt_out', 'opt_in', 'help')),
    has_changed_status BIGINT NOT NULL DEFAULT 0 CHECK (has_changed_status IN (0, 1)),
    -- messages.id of the last message to the sender.
    in_reply_to        BYTEA CHECK (length(in_reply_to) = 16),
    -- The name of the API key that the route belongs to; empty for none.
    account            TEXT NOT NULL DEFAULT '',
    -- The name of the route and the kind of its target; NULL without one.
    route              TEXT,
    target             TEXT CHECK (target IN ('webhook', 'get_url', 'twilio_url', 'email', 'smpp')),
    -- When the target confirmed the message.
    forwarded_at     BIGINT,
    CHECK (target IS NULL OR route IS NOT NULL),
    CHECK (forwarded_at IS NULL OR target IS NOT NULL)
);

-- A provider that repeats a text adds no row.
CREATE UNIQUE INDEX inbound_messages_reference ON inbound_messages (provider, reference) WHERE reference IS NOT NULL;
CREATE INDEX inbound_messages_sender ON inbound_messages (sender, id);
-- Messages of one API key. Messages that belong to none are not indexed.
CREATE INDEX inbound_messages_account ON inbound_messages (account, id) WHERE account <> '';
-- Messages that their target has not confirmed.
CREATE INDEX inbound_messages_waiting ON inbound_messages (target, account, id)
    WHERE target IS NOT NULL AND forwarded_at IS NULL;

-- Events ------------------------------------------------------------------------------------------

-- The outbox of webhook events. A row is written in the transaction that changes the delivery.
CREATE TABLE events (
    delivery        BIGINT NOT NULL,
    -- Number of the event within the delivery, from 1.
    sequence        BIGINT NOT NULL,
    -- messages.id, messages.event_target, deliveries.channel and deliveries.spelling, copied so that the event outlives
    -- them.
    message         BYTEA NOT NULL CHECK (length(message) = 16),
    event_target    TEXT NOT NULL,
    -- The queue of the webhook endpoint: host and port of the callback URL, or the API key. A slow endpoint delays only
    -- its own queue.
    endpoint        TEXT COLLATE "C" NOT NULL,
    channel         TEXT NOT NULL,
    spelling        TEXT NOT NULL,
    -- The type of the event. 'received' is about an inbound message: `message` is inbound_messages.id, and `delivery` a
    -- negative number made of it.
    event_type      TEXT NOT NULL
        CHECK (event_type IN ('waiting', 'sent', 'delivered', 'failed', 'opened', 'received')),
    failure         TEXT,
    reason          TEXT,
    provider        TEXT,
    -- When the change happened.
    at              BIGINT NOT NULL,
    -- 'waiting' to be sent, 'delivered' to the endpoint, or 'dead' (given up, can be replayed).
    state           TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    -- In state 'waiting': when it is due. Otherwise: when it was delivered or given up.
    due_or_ended_at BIGINT NOT NULL,
    -- Number of claims; it is the fencing token, as `deliveries.round`.
    claims          BIGINT NOT NULL DEFAULT 0,
    -- Failed delivery attempts.
    tries           BIGINT NOT NULL DEFAULT 0,
    -- Result of the last delivery attempt, in words.
    last_result     TEXT,
    PRIMARY KEY (delivery, sequence)
) WITH (fillfactor = 80);

CREATE INDEX events_due ON events (endpoint, due_or_ended_at) WHERE state = 'waiting';
-- Dead letters, which are listed by time and are few.
CREATE INDEX events_dead ON events (at) WHERE state = 'dead';
CREATE INDEX events_at ON events (at);

-- Coordination between processes ------------------------------------------------------------------

-- The shared rate limiter (token bucket) of each provider that has a rate.
CREATE TABLE rate_limiters (
    provider         TEXT PRIMARY KEY,
    -- Millionths of a token; negative after a message with more parts than the bucket holds.
    tokens_micros    BIGINT NOT NULL,
    -- When the tokens were counted.
    counted_at       BIGINT NOT NULL,
    -- The next free send time, in microseconds since 1970: at fast providers these times are less than 1 ms apart.
    next_slot_micros BIGINT,
    -- Cooldown: the provider asked not to be called before this time.
    cooldown_until   BIGINT
);

-- The shared circuit breaker of each provider.
CREATE TABLE provider_health (
    provider       TEXT PRIMARY KEY,
    circuit        TEXT NOT NULL CHECK (circuit IN ('closed', 'open', 'half_open', 'misconfigured')),
    -- When the provider may be probed ('open' and 'misconfigured').
    open_until     BIGINT,
    -- The pause before the next probe is this many times the shortest one (not in 'closed').
    backoff_factor BIGINT,
    -- The fault of the configuration ('misconfigured' only).
    reason         TEXT,
    -- Cooldown: the provider asked not to be called before this time.
    cooldown_until BIGINT,
    -- When the breaker last changed. In 'misconfigured': when the newest process that found the error read its
    -- configuration.
    since          BIGINT NOT NULL,
    -- Increases with every change.
    version        BIGINT NOT NULL,
    CHECK ((circuit IN ('open', 'misconfigured')) = (open_until IS NOT NULL)),
    CHECK ((circuit <> 'closed') = (backoff_factor IS NOT NULL)),
    CHECK ((circuit = 'misconfigured') = (reason IS NOT NULL))
);

-- The last command of an operator for each provider: pause it, or resume it. It applies to every process.
CREATE TABLE provider_controls (
    provider     TEXT PRIMARY KEY,
    action       TEXT NOT NULL CHECK (action IN ('pause', 'resume')),
    requested_by TEXT NOT NULL,
    requested_at BIGINT NOT NULL
);

-- Job locks: each scheduled job runs in one process at a time. A lock is free again after `expires_at`.
CREATE TABLE job_locks (
    job          TEXT PRIMARY KEY,
    -- The process that holds the lock.
    process_name TEXT NOT NULL,
    acquired_at  BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    -- The job has finished, and the lock only prevents another run before `expires_at`.
    is_done      BOOLEAN NOT NULL
);

-- The report --------------------------------------------------------------------------------------

-- Rollups: the counters from which the report is made. `metric` names the counter, `group_name` and `entry` are its
-- labels (for example 'outcomes', a provider, 'accepted').
CREATE TABLE rollups (
    metric     TEXT COLLATE "C" NOT NULL,
    group_name TEXT COLLATE "C" NOT NULL,
    entry      TEXT COLLATE "C" NOT NULL,
    -- 'live': counts deliveries that still exist and can be rebuilt from them. 'pruned': counts pruned deliveries.
    origin     TEXT NOT NULL CHECK (origin IN ('live', 'pruned')),
    count      BIGINT NOT NULL,
    PRIMARY KEY (metric, group_name, entry, origin)
);

-- Deliveries by address, including pruned ones. Rebuilding the rollups empties it.
CREATE TABLE address_counts (
    address TEXT COLLATE "C" PRIMARY KEY,
    count   BIGINT NOT NULL
);

-- The ten addresses with the most deliveries.
CREATE INDEX address_counts_count ON address_counts (count DESC, address);

-- Pruned deliveries by address. They cannot be counted again.
CREATE TABLE pruned_address_counts (
    address TEXT COLLATE "C" PRIMARY KEY,
    count   BIGINT NOT NULL
);

CREATE INDEX pruned_address_counts_count ON pruned_address_counts (count DESC, address);

-- The rendered report. The newest row counts; two older ones stay for requests that are just reading them.
CREATE TABLE report_snapshots (
    generation BIGINT PRIMARY KEY,
    as_of      BIGINT NOT NULL,
    content    BYTEA NOT NULL
);

-- Host and port of each provider, for the view below only.
CREATE TABLE providers (
    name TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    port BIGINT NOT NULL
);

-- Values that exist once per store.
CREATE TABLE meta (
    name   TEXT PRIMARY KEY,
    number BIGINT,
    bytes  BYTEA
);

INSERT INTO meta (name, number, bytes) VALUES
    -- The store secret. Three UUIDs, because a UUID has fixed bits.
    ('store_secret', NULL, sha256(
        uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    )),
    -- The greatest delivery id that the rollups have counted.
    ('rollup_position', 0, NULL),
    -- Incremented by every health check, which has to be a real write.
    ('ping_counter', 0, NULL);

-- One row per delivery in the column names of the replaced SMS gateway, for queries written by hand. The names are a
-- promise to operators and do not change.
CREATE VIEW notifications AS
SELECT
    d.id                                                            AS id,
    d.spelling                                                      AS mobile,
    coalesce(p.host, '')                                            AS server,
    coalesce(p.port, 0)                                             AS port,
    CASE WHEN d.state IN ('sent', 'delivered') THEN 1 ELSE 0 END    AS status,
    CASE
        WHEN NOT d.rollup_pending AND d.id <= (SELECT number FROM meta WHERE name = 'rollup_position') THEN 1
        ELSE 0
    END                                                             AS synced,
    CASE WHEN d.channel = 'sms' THEN 1 ELSE 0 END                   AS type,
    to_char(to_timestamp(m.created_at / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS created_at,
    m.body                                                          AS body
FROM deliveries AS d
JOIN messages AS m ON m.number = d.id >> 6
LEFT JOIN providers AS p ON p.name = d.provider;
