-- Reads the oldest entries of the change log.
SELECT seq, table_name, key1, key2, key3, key4 FROM copy_changes ORDER BY seq LIMIT {limit}
