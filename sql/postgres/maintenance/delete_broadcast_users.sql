DELETE FROM broadcast_users WHERE broadcast = ANY ($1)
