SELECT number FROM messages WHERE id = $1
