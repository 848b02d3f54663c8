UPDATE deliveries SET
    state = ?2, failure = ?3, reason = ?4, due_at = ?5, ended_at = ?6,
    resends_left = ?7, avoid = coalesce(?8, avoid), opened_at = ?9, rollup_pending = (id <= ?10),
    provider = ?11, reference = ?12
WHERE id = ?1
