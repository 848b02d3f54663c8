SELECT number, id, body, user, created_at, subject FROM messages WHERE number = ?1
