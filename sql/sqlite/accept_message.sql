INSERT INTO messages (number, id, body, user, created_at, subject, watch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
