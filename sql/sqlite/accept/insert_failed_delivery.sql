-- Inserts a delivery that is already 'failed', because its recipient is not active or its address is not usable.
INSERT INTO deliveries (
    id, channel, address, spelling, parts, priority, state, failure, reason, resends_left, expires_at, ended_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'failed', ?7, ?8, ?9, ?10, ?11)
