INSERT INTO meta (name, value) VALUES ('claims_paused', CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?1)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
