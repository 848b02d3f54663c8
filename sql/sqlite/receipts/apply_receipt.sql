-- While a round is not recorded, `due_at` stays the end of its lease, also when the delivery is settled.
UPDATE deliveries SET
    state = ?2, failure = ?3, reason = ?4, ended_at = ?6,
    due_at = CASE
        WHEN recorded = round THEN ?5
        WHEN ?2 = 'waiting' THEN max(?5, coalesce(due_at, ?5))
        ELSE due_at
    END,
    resends_left = ?7, avoid = coalesce(?8, avoid), opened_at = ?9, rollup_pending = (id <= ?10),
    provider = ?11, reference = ?12
WHERE id = ?1
