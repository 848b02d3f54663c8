-- Everything the gateway knows. Times are milliseconds since 1970 in UTC; names and states are words, so that
-- people's own queries read well. The CHECKs refuse rows that the state machine cannot make.

-- One row for each thing the store knows once.
CREATE TABLE meta (
    name   TEXT PRIMARY KEY,
    number BIGINT,
    bytes  BYTEA
);

INSERT INTO meta (name, number, bytes) VALUES
    -- From the server's strong generator, three times over because a UUID has fixed bits.
    ('seal', NULL, sha256(
        uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    )),
    -- Deliveries up to this id have been counted by the report.
    ('folded', 0, NULL),
    -- Written by ping.
    ('pulse', 0, NULL);

-- Numbers of messages; no number is ever given out twice.
CREATE SEQUENCE message_numbers;

-- In free text (body, user, spelling, reason, code, reference) U+0000, which PostgreSQL cannot keep, stands as
-- U+001A and "0", and U+001A itself as U+001A and "1".
CREATE TABLE messages (
    number     BIGINT PRIMARY KEY,
    id         BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    body       TEXT NOT NULL,
    "user"     TEXT,
    created_at BIGINT NOT NULL
);

-- The first message that was accepted in an hour, or one before it. A few rows stand in for an index on created_at.
CREATE TABLE hours (
    hour         BIGINT PRIMARY KEY,
    first_number BIGINT NOT NULL
);

-- The id is the message's number times 64 plus the place in the message.
CREATE TABLE deliveries (
    id           BIGINT PRIMARY KEY,
    channel      TEXT NOT NULL,
    address      TEXT NOT NULL,
    spelling     TEXT NOT NULL,
    parts        BIGINT NOT NULL,
    priority     BIGINT NOT NULL CHECK (priority IN (0, 1)),
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'delivered', 'failed')),
    failure      TEXT CHECK (
        failure IN (
            'rejected', 'invalid_recipient', 'suppressed', 'exhausted', 'expired', 'bounced', 'cancelled', 'unknown'
        )
    ),
    reason       TEXT,
    round        BIGINT NOT NULL DEFAULT 0,
    -- The last round whose end was recorded. While it is behind, a worker has the delivery in hand.
    recorded     BIGINT NOT NULL DEFAULT 0,
    tries        BIGINT NOT NULL DEFAULT 0,
    resends_left BIGINT NOT NULL,
    provider     TEXT,
    reference    TEXT,
    avoid        TEXT,
    due_at       BIGINT,
    expires_at   BIGINT NOT NULL,
    -- When it was sent, delivered or failed.
    ended_at     BIGINT,
    opened_at    BIGINT,
    -- Changed since it was accepted, or since the report counted it. What lies beyond the mark `folded` was never
    -- counted.
    recount           BOOLEAN NOT NULL DEFAULT FALSE,
    -- What the report counted for it last.
    counted_state     TEXT,
    counted_failure   TEXT,
    counted_provider  TEXT,
    counted_opened    BOOLEAN,
    counted_attempts  BIGINT,
    CHECK ((state = 'waiting') = (due_at IS NOT NULL)),
    CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CHECK ((state = 'failed') = (failure IS NOT NULL)),
    CHECK (state <> 'failed' OR reason IS NOT NULL),
    CHECK (state IN ('waiting', 'failed') OR provider IS NOT NULL),
    CHECK (reference IS NULL OR provider IS NOT NULL),
    CHECK (opened_at IS NULL OR state = 'delivered'),
    CHECK (recorded BETWEEN 0 AND round)
);

CREATE INDEX deliveries_due ON deliveries (priority, due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_ended ON deliveries (state, id) WHERE state <> 'waiting';
CREATE INDEX deliveries_address ON deliveries (address, id);
CREATE INDEX deliveries_reference ON deliveries (reference, id) WHERE reference IS NOT NULL;
CREATE INDEX deliveries_recount ON deliveries (id) WHERE recount;

-- The calls made for a delivery, numbered as they were recorded.
CREATE TABLE attempts (
    delivery    BIGINT NOT NULL,
    place       BIGINT NOT NULL,
    round       BIGINT NOT NULL,
    provider    TEXT,
    outcome     TEXT NOT NULL,
    code        TEXT,
    reason      TEXT,
    at          BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    PRIMARY KEY (delivery, place)
);

-- Clients' promises that a repetition is the same request.
CREATE TABLE keys (
    key        BYTEA PRIMARY KEY CHECK (length(key) = 32),
    request    BYTEA NOT NULL CHECK (length(request) = 32),
    number     BIGINT NOT NULL,
    message    BYTEA NOT NULL CHECK (length(message) = 16),
    expires_at BIGINT NOT NULL
);

CREATE INDEX keys_expires_at ON keys (expires_at);

-- Receipts that came before what they speak of. An empty provider stands for any.
CREATE TABLE receipts (
    reference TEXT NOT NULL,
    provider  TEXT NOT NULL,
    verdict   TEXT NOT NULL CHECK (verdict IN ('delivered', 'bounced', 'invalid', 'opened')),
    reason    TEXT,
    at        BIGINT NOT NULL,
    heard_at  BIGINT NOT NULL,
    PRIMARY KEY (reference, provider, verdict)
);

CREATE INDEX receipts_heard_at ON receipts (heard_at);

-- What was ever said of a recipient. No row means active.
CREATE TABLE recipients (
    channel    TEXT NOT NULL,
    address    TEXT NOT NULL,
    standing   TEXT NOT NULL CHECK (standing IN ('active', 'inactive', 'opted_out')),
    reason     TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (channel, address)
);

CREATE TABLE providers (
    name TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    port BIGINT NOT NULL
);

-- The report's roll-ups: how often an entry of a line of a ledger was counted. 'live' rows speak of what
-- still exists and can be built again; 'kept' rows speak of what was pruned.
CREATE TABLE tallies (
    ledger TEXT COLLATE "C" NOT NULL,
    line   TEXT COLLATE "C" NOT NULL,
    entry  TEXT COLLATE "C" NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('live', 'kept')),
    count  BIGINT NOT NULL,
    PRIMARY KEY (ledger, line, entry, origin)
);

-- Deliveries by address, with those that were pruned: the top ten come from the index. Emptied by unfold.
CREATE TABLE addresses (
    address TEXT COLLATE "C" PRIMARY KEY,
    count   BIGINT NOT NULL
);

CREATE INDEX addresses_count ON addresses (count DESC, address);

-- Deliveries by address of what was pruned.
CREATE TABLE addresses_kept (
    address TEXT COLLATE "C" PRIMARY KEY,
    count   BIGINT NOT NULL
);

CREATE INDEX addresses_kept_count ON addresses_kept (count DESC, address);

CREATE TABLE snapshots (
    generation BIGINT PRIMARY KEY,
    as_of      BIGINT NOT NULL,
    content    BYTEA NOT NULL
);

-- For people's own queries: one line for each delivery, in the columns they know.
CREATE VIEW notifications AS
SELECT
    d.id                                                            AS id,
    d.spelling                                                      AS mobile,
    coalesce(p.host, '')                                            AS server,
    coalesce(p.port, 0)                                             AS port,
    CASE WHEN d.state IN ('sent', 'delivered') THEN 1 ELSE 0 END    AS status,
    CASE
        WHEN NOT d.recount AND d.id <= (SELECT number FROM meta WHERE name = 'folded') THEN 1
        ELSE 0
    END                                                             AS synced,
    CASE WHEN d.channel = 'sms' THEN 1 ELSE 0 END                   AS type,
    to_char(to_timestamp(m.created_at / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS created_at,
    m.body                                                          AS body
FROM deliveries AS d
JOIN messages AS m ON m.number = d.id >> 6
LEFT JOIN providers AS p ON p.name = d.provider;
