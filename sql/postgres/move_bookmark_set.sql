INSERT INTO move_bookmarks (place, key) VALUES ($1, $2)
ON CONFLICT (place) DO UPDATE SET key = excluded.key
