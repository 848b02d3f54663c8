-- The keys of rows that were changed while a move copies. A number stands for one change; a key has one to four
-- parts.
CREATE TABLE move_changes (
    seq   INTEGER PRIMARY KEY,
    place TEXT NOT NULL,
    key1  ANY,
    key2  ANY,
    key3  ANY,
    key4  ANY
) STRICT
