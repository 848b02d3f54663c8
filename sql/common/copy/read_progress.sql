-- Reads the progress of each table.
SELECT table_name, last_key FROM copy_progress
