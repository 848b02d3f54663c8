INSERT INTO orders (provider, word, told_by, told_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (provider) DO UPDATE SET word = excluded.word, told_by = excluded.told_by, told_at = excluded.told_at
