DELETE FROM broadcast_messages WHERE broadcast = ?1
