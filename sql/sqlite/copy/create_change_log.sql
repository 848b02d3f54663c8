-- The keys (one to four columns) of rows that changed while a move copies. Each change has its own number.
-- AUTOINCREMENT never reuses a number, so deleting a processed change by its number cannot delete a newer one.
CREATE TABLE copy_changes (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL,
    key1       ANY,
    key2       ANY,
    key3       ANY,
    key4       ANY
) STRICT
