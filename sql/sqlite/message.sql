SELECT id, body, user, created_at FROM messages WHERE number = ?1
