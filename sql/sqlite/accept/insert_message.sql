INSERT INTO messages (number, id, body, user, created_at, subject, event_target, owner)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
