-- What the processes that share this store agree on: how fast providers are asked, how they do, whose turn it is.

-- The token bucket of a provider with a rate. Slots are finer than a millisecond at fast providers.
CREATE TABLE paces (
    provider         TEXT PRIMARY KEY,
    tokens_micros    BIGINT NOT NULL,
    counted_at       BIGINT NOT NULL,
    next_slot_micros BIGINT,
    paused_until     BIGINT
);

-- How providers do. `till` is the end of a rest; `since` the moment of the last change, `version` counts changes.
CREATE TABLE standings (
    provider     TEXT PRIMARY KEY,
    standing     TEXT NOT NULL CHECK (standing IN ('well', 'resting', 'probing', 'out')),
    till         BIGINT,
    times        BIGINT,
    reason       TEXT,
    paused_until BIGINT,
    since        BIGINT NOT NULL,
    version      BIGINT NOT NULL,
    CHECK ((standing = 'resting') = (till IS NOT NULL)),
    CHECK ((standing IN ('resting', 'probing')) = (times IS NOT NULL)),
    CHECK ((standing = 'out') = (reason IS NOT NULL))
);

-- Work that one process does at a time. A turn ends by itself at `ends_at`.
CREATE TABLE turns (
    task     TEXT PRIMARY KEY,
    holder   TEXT NOT NULL,
    began_at BIGINT NOT NULL,
    ends_at  BIGINT NOT NULL,
    done     BOOLEAN NOT NULL
);
