INSERT INTO tallies (ledger, line, entry, origin, count) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (ledger, line, entry, origin) DO UPDATE SET count = count + excluded.count
