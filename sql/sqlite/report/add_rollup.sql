INSERT INTO rollups (metric, group_name, entry, origin, count) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (metric, group_name, entry, origin) DO UPDATE SET count = count + excluded.count
