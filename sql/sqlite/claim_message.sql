SELECT id, body FROM messages WHERE number = ?1
