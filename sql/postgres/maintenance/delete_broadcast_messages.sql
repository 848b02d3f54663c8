DELETE FROM broadcast_messages WHERE broadcast = ANY ($1)
