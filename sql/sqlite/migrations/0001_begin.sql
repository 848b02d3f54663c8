-- Everything the gateway knows. Times are milliseconds since 1970 in UTC; names and states are words, so that
-- people's own queries read well. The CHECKs refuse rows that the state machine cannot make. Those of deliveries are
-- written with OR: for a longer IN, SQLite would build a table in memory with every row that is written.

PRAGMA application_id = 0x506F7374;

-- One row for each thing the store knows once: the seal, and marks that verbs share.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES
    ('seal', randomblob(32)),
    -- The greatest message number that was ever pruned: numbers are never given out twice.
    ('number_pruned', 0),
    -- Deliveries up to this id have been counted by the report.
    ('folded', 0),
    -- Written by ping.
    ('pulse', 0);

CREATE TABLE messages (
    number     INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    body       TEXT NOT NULL,
    user       TEXT,
    created_at INTEGER NOT NULL
) STRICT;

-- Which messages were accepted in an hour. A few rows stand in for an index on created_at.
CREATE TABLE hours (
    hour         INTEGER PRIMARY KEY,
    first_number INTEGER NOT NULL,
    last_number  INTEGER NOT NULL
) STRICT;

-- The id is the message's number times 64 plus the place in the message.
CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY,
    channel      TEXT NOT NULL,
    address      TEXT NOT NULL,
    spelling     TEXT NOT NULL,
    parts        INTEGER NOT NULL,
    priority     INTEGER NOT NULL CHECK (priority IN (0, 1)),
    state        TEXT NOT NULL CHECK (state = 'waiting' OR state = 'sent' OR state = 'delivered' OR state = 'failed'),
    failure      TEXT CHECK (
        failure IS NULL OR failure = 'rejected' OR failure = 'invalid_recipient' OR failure = 'suppressed'
        OR failure = 'exhausted' OR failure = 'expired' OR failure = 'bounced' OR failure = 'cancelled'
        OR failure = 'unknown'
    ),
    reason       TEXT,
    round        INTEGER NOT NULL DEFAULT 0,
    -- The last round whose end was recorded. While it is behind, a worker has the delivery in hand.
    recorded     INTEGER NOT NULL DEFAULT 0,
    tries        INTEGER NOT NULL DEFAULT 0,
    resends_left INTEGER NOT NULL,
    provider     TEXT,
    reference    TEXT,
    avoid        TEXT,
    due_at       INTEGER,
    expires_at   INTEGER NOT NULL,
    -- When it was sent, delivered or failed.
    ended_at     INTEGER,
    opened_at    INTEGER,
    -- 1: changed since the report counted it. What lies beyond the mark `folded` was never counted.
    recount           INTEGER NOT NULL DEFAULT 0,
    -- What the report counted for it last.
    counted_state     TEXT,
    counted_failure   TEXT,
    counted_provider  TEXT,
    counted_opened    INTEGER,
    counted_attempts  INTEGER,
    CHECK ((state = 'waiting') = (due_at IS NOT NULL)),
    CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CHECK ((state = 'failed') = (failure IS NOT NULL)),
    CHECK (state <> 'failed' OR reason IS NOT NULL),
    CHECK (state = 'waiting' OR state = 'failed' OR provider IS NOT NULL),
    CHECK (reference IS NULL OR provider IS NOT NULL),
    CHECK (opened_at IS NULL OR state = 'delivered'),
    CHECK (recorded BETWEEN 0 AND round)
) STRICT;

CREATE INDEX deliveries_due ON deliveries (priority, due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_ended ON deliveries (state) WHERE state <> 'waiting';
CREATE INDEX deliveries_address ON deliveries (address);
CREATE INDEX deliveries_reference ON deliveries (reference) WHERE reference IS NOT NULL;
CREATE INDEX deliveries_recount ON deliveries (recount) WHERE recount = 1;

-- The calls made for a delivery, numbered as they were recorded.
CREATE TABLE attempts (
    delivery    INTEGER NOT NULL,
    place       INTEGER NOT NULL,
    round       INTEGER NOT NULL,
    provider    TEXT,
    outcome     TEXT NOT NULL,
    code        TEXT,
    reason      TEXT,
    at          INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY (delivery, place)
) STRICT, WITHOUT ROWID;

-- Clients' promises that a repetition is the same request.
CREATE TABLE keys (
    key        BLOB PRIMARY KEY CHECK (length(key) = 32),
    request    BLOB NOT NULL CHECK (length(request) = 32),
    number     INTEGER NOT NULL,
    message    BLOB NOT NULL CHECK (length(message) = 16),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_expires_at ON keys (expires_at);

-- Receipts that came before what they speak of. An empty provider stands for any.
CREATE TABLE receipts (
    reference TEXT NOT NULL,
    provider  TEXT NOT NULL,
    verdict   TEXT NOT NULL CHECK (verdict IN ('delivered', 'bounced', 'invalid', 'opened')),
    reason    TEXT,
    at        INTEGER NOT NULL,
    heard_at  INTEGER NOT NULL,
    PRIMARY KEY (reference, provider, verdict)
) STRICT, WITHOUT ROWID;

CREATE INDEX receipts_heard_at ON receipts (heard_at);

-- What was ever said of a recipient. No row means active.
CREATE TABLE recipients (
    channel    TEXT NOT NULL,
    address    TEXT NOT NULL,
    standing   TEXT NOT NULL CHECK (standing IN ('active', 'inactive', 'opted_out')),
    reason     TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (channel, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE providers (
    name TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    port INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The report's roll-ups: how often an entry of a line of a ledger was counted. 'live' rows speak of what
-- still exists and can be built again; 'kept' rows speak of what was pruned.
CREATE TABLE tallies (
    ledger TEXT NOT NULL,
    line   TEXT NOT NULL,
    entry  TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('live', 'kept')),
    count  INTEGER NOT NULL,
    PRIMARY KEY (ledger, line, entry, origin)
) STRICT, WITHOUT ROWID;

-- Deliveries by address, with those that were pruned: the top ten come from the index. Most addresses stand for
-- one delivery only and stay out of it. Emptied by unfold.
CREATE TABLE addresses (
    address TEXT PRIMARY KEY,
    count   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX addresses_count ON addresses (count DESC, address) WHERE count > 1;

-- Deliveries by address of what was pruned.
CREATE TABLE addresses_kept (
    address TEXT PRIMARY KEY,
    count   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX addresses_kept_count ON addresses_kept (count DESC, address) WHERE count > 1;

CREATE TABLE snapshots (
    generation INTEGER PRIMARY KEY,
    as_of      INTEGER NOT NULL,
    content    BLOB NOT NULL
) STRICT;

-- For people's own queries: one line for each delivery, in the columns they know.
CREATE VIEW notifications AS
SELECT
    d.id                                                            AS id,
    d.spelling                                                      AS mobile,
    coalesce(p.host, '')                                            AS server,
    coalesce(p.port, 0)                                             AS port,
    CASE WHEN d.state IN ('sent', 'delivered') THEN 1 ELSE 0 END    AS status,
    CASE
        WHEN d.recount = 0 AND d.id <= (SELECT value FROM meta WHERE name = 'folded') THEN 1
        ELSE 0
    END                                                             AS synced,
    CASE WHEN d.channel = 'sms' THEN 1 ELSE 0 END                   AS type,
    strftime('%Y-%m-%d %H:%M:%S', m.created_at / 1000, 'unixepoch') AS created_at,
    m.body                                                          AS body
FROM deliveries AS d
JOIN messages AS m ON m.number = d.id >> 6
LEFT JOIN providers AS p ON p.name = d.provider;
