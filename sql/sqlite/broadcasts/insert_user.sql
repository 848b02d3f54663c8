INSERT INTO users (id, owner, number, name, contacts, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
