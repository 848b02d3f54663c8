-- Inserts a delivery in state 'waiting'. The rare delivery that starts as 'failed' has its own statement.
INSERT INTO deliveries (
    id, channel, address, spelling, parts, priority, state, resends_left, due_at, expires_at, contacts
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting', ?7, ?8, ?9, ?10)
