-- Touches the row only while the round is the current one and has no end yet. A state that names no provider
-- leaves the last one that took it in place. The recount mark is only for what the report has counted before.
UPDATE deliveries SET
    state = ?3, failure = ?4, reason = ?5, due_at = ?6, ended_at = ?7,
    reference = CASE WHEN ?8 IS NULL THEN reference ELSE ?9 END,
    provider = coalesce(?8, provider),
    tries = ?10, recorded = round, recount = (id <= ?11)
WHERE id = ?1 AND round = ?2 AND recorded < ?2 AND state = 'waiting'
