-- What the processes that share this store agree on: how fast providers are asked, how they do, whose turn it is.

-- The token bucket of a provider with a rate. Slots are finer than a millisecond at fast providers.
CREATE TABLE paces (
    provider         TEXT PRIMARY KEY,
    tokens_micros    INTEGER NOT NULL,
    counted_at       INTEGER NOT NULL,
    next_slot_micros INTEGER,
    paused_until     INTEGER
) STRICT, WITHOUT ROWID;

-- How providers do. `till` is the end of a rest; `since` the moment of the last change, `version` counts changes.
CREATE TABLE standings (
    provider     TEXT PRIMARY KEY,
    standing     TEXT NOT NULL CHECK (standing IN ('well', 'resting', 'probing', 'out')),
    till         INTEGER,
    times        INTEGER,
    reason       TEXT,
    paused_until INTEGER,
    since        INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    CHECK ((standing = 'resting') = (till IS NOT NULL)),
    CHECK ((standing IN ('resting', 'probing')) = (times IS NOT NULL)),
    CHECK ((standing = 'out') = (reason IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Work that one process does at a time. A turn ends by itself at `ends_at`.
CREATE TABLE turns (
    task     TEXT PRIMARY KEY,
    holder   TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    ends_at  INTEGER NOT NULL,
    done     INTEGER NOT NULL CHECK (done IN (0, 1))
) STRICT, WITHOUT ROWID;
