-- Who wants to hear of a message: an address and the name of an API key with a blank between, either of which may be
-- empty. NULL for nobody, as almost everywhere.
ALTER TABLE messages ADD COLUMN watch TEXT;

-- What those who asked for it are told, written in the transaction in which it happened. A lane is a receiver: a host
-- with its port, or an API key.
CREATE TABLE events (
    delivery INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    message  BLOB NOT NULL CHECK (length(message) = 16),
    watch    TEXT NOT NULL,
    lane     TEXT NOT NULL,
    channel  TEXT NOT NULL,
    spelling TEXT NOT NULL,
    what     TEXT NOT NULL CHECK (what IN ('waiting', 'sent', 'delivered', 'failed', 'opened')),
    failure  TEXT,
    reason   TEXT,
    provider TEXT,
    at       INTEGER NOT NULL,
    state    TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'taken', 'dead')),
    -- When it is due, or since when its receiver has it or it was given up.
    moment   INTEGER NOT NULL,
    -- How often it was claimed, and how often its receiver did not take it.
    claims   INTEGER NOT NULL DEFAULT 0,
    tries    INTEGER NOT NULL DEFAULT 0,
    answer   TEXT,
    PRIMARY KEY (delivery, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX events_due ON events (lane, moment) WHERE state = 'waiting';
CREATE INDEX events_dead ON events (at) WHERE state = 'dead';
CREATE INDEX events_at ON events (at);
