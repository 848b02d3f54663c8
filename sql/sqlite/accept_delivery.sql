-- What starts waiting, as almost every delivery does.
INSERT INTO deliveries (
    id, channel, address, spelling, parts, priority, state, resends_left, due_at, expires_at, contacts
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting', ?7, ?8, ?9, ?10)
