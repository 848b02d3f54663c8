UPDATE turns SET ends_at = $3, done = TRUE WHERE task = $1 AND holder = $2 AND NOT done
