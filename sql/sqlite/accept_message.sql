INSERT INTO messages (number, id, body, user, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
