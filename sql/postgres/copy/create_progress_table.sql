-- Creates the table with the progress of each copied table: the last copied key as JSON, or NULL when the table is
-- complete.
CREATE TABLE copy_progress (
    table_name TEXT PRIMARY KEY,
    last_key   TEXT
)
