DELETE FROM messages WHERE number = ANY ($1)
