INSERT INTO messages (
    number, id, body, user, created_at, subject, event_target, owner, at_most_once, expires_at, sender
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
