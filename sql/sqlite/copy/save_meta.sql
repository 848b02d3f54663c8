INSERT INTO meta (name, value) VALUES (?1, coalesce(?2, ?3))
ON CONFLICT (name) DO UPDATE SET value = excluded.value
