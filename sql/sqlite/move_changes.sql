SELECT seq, place, key1, key2, key3, key4 FROM move_changes ORDER BY seq LIMIT {limit}
