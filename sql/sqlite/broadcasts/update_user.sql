UPDATE users SET name = ?2, contacts = ?3 WHERE number = ?1
