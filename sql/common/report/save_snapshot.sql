-- Saves a report snapshot.
INSERT INTO report_snapshots (generation, as_of, content) VALUES ($1, $2, $3)
ON CONFLICT (generation) DO UPDATE SET as_of = excluded.as_of, content = excluded.content
