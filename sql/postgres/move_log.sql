-- The keys of rows that were changed while a move copies. A number stands for one change; a key has one to four
-- parts.
CREATE TABLE move_changes (
    seq   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    place TEXT NOT NULL,
    key1  TEXT,
    key2  TEXT,
    key3  TEXT,
    key4  TEXT
)
