SELECT number, id, owner, name, contacts, created_at FROM users WHERE id = ?1 AND owner = ?2
