-- Who has registered, numbered without a gap in the order in which they did: a broadcast to all remembers the last
-- number there was. Nobody is deleted.
CREATE TABLE users (
    id         TEXT PRIMARY KEY,
    number     BIGINT NOT NULL UNIQUE,
    name       TEXT,
    -- A line for each: kind, address and spelling between tabs.
    contacts   TEXT,
    created_at BIGINT NOT NULL
);

-- One body to many users. `reached` is the number of the last user who was looked at: it moves in the transaction that
-- stores the messages, so that nobody gets two and nobody is left out, whoever goes on.
CREATE TABLE broadcasts (
    number      BIGINT PRIMARY KEY,
    id          BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    body        TEXT NOT NULL,
    channel     TEXT NOT NULL,
    caller      TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    -- 1: to everybody up to last_user; 0: to those in broadcast_users.
    to_all      BIGINT NOT NULL CHECK (to_all IN (0, 1)),
    last_user   BIGINT NOT NULL,
    users       BIGINT NOT NULL,
    reached     BIGINT NOT NULL DEFAULT 0,
    messages    BIGINT NOT NULL DEFAULT 0,
    unreachable BIGINT NOT NULL DEFAULT 0,
    refused     BIGINT NOT NULL DEFAULT 0,
    spread      BIGINT NOT NULL DEFAULT 0 CHECK (spread IN (0, 1))
);

CREATE INDEX broadcasts_open ON broadcasts (number) WHERE spread = 0;

CREATE TABLE broadcast_users (
    broadcast   BIGINT NOT NULL,
    user_number BIGINT NOT NULL,
    PRIMARY KEY (broadcast, user_number)
);

-- Which messages a broadcast became: from the first to the last number without a gap. A thousand messages that are stored
-- together are one row, and lie side by side where they are counted.
CREATE TABLE broadcast_messages (
    first_number BIGINT PRIMARY KEY,
    last_number  BIGINT NOT NULL,
    broadcast    BIGINT NOT NULL,
    CHECK (last_number >= first_number)
);

CREATE INDEX broadcast_messages_broadcast ON broadcast_messages (broadcast);
