DELETE FROM broadcast_users WHERE broadcast = ?1
