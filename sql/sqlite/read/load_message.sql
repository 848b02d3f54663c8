SELECT number, id, body, user, created_at, subject, owner FROM messages WHERE number = ?1
