-- Inserts rows, or replaces the rows with the same keys.
INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays})
ON CONFLICT ({key}) DO UPDATE SET {sets}
