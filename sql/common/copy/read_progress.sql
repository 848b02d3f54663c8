SELECT table_name, last_key FROM copy_progress
