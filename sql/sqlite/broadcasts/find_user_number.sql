SELECT number FROM users WHERE id = ?1
