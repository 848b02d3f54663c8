-- The keys of rows that were changed while a move copies. A number stands for one change and is never used again, so that
-- nobody forgets a change by the number of another; a key has one to four parts.
CREATE TABLE move_changes (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    place TEXT NOT NULL,
    key1  ANY,
    key2  ANY,
    key3  ANY,
    key4  ANY
) STRICT
