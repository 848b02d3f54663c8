SELECT id, body, "user", created_at, number FROM messages WHERE number = ANY ($1)
