-- A delivery starts waiting, or failed when its recipient is suppressed.
INSERT INTO deliveries (
    id, channel, address, spelling, parts, priority, state, failure, reason, resends_left,
    due_at, expires_at, ended_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
