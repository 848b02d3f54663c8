SELECT number, id, body, user, created_at, subject, owner, sender FROM messages WHERE number = ?1
