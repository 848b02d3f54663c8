UPDATE users SET name = ?2, contacts = ?3 WHERE id = ?1
