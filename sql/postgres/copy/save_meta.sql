-- Saves a value of `meta`.
INSERT INTO meta (name, number, bytes) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET number = excluded.number, bytes = excluded.bytes
