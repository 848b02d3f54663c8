UPDATE turns SET ends_at = ?3, done = 1 WHERE task = ?1 AND holder = ?2 AND done = 0
