-- Saves the progress of a table.
INSERT INTO copy_progress (table_name, last_key) VALUES ($1, $2)
ON CONFLICT (table_name) DO UPDATE SET last_key = excluded.last_key
