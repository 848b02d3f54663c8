-- Changes the delivery only if the round is still the current one and was not recorded. A new state without a provider
-- keeps the last provider and reference. The delivery is marked for recounting only if the rollups have counted it
-- before.
UPDATE deliveries SET
    state = ?3, failure = ?4, reason = ?5, due_at = ?6, ended_at = ?7,
    reference = CASE WHEN ?8 IS NULL THEN reference ELSE ?9 END,
    provider = coalesce(?8, provider),
    tries = ?10, recorded = round, rollup_pending = (id <= ?11), expires_at = ?12
WHERE id = ?1 AND round = ?2 AND recorded < ?2 AND state = 'waiting'
