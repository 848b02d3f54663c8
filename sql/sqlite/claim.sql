-- The transaction is the only one that writes, so one statement is both the race and its end.
-- It answers whether the round before this one was never recorded.
UPDATE deliveries SET due_at = ?3, round = round + 1
WHERE id = ?1 AND state = 'waiting' AND due_at <= ?2
RETURNING channel, address, spelling, parts, round, tries, recorded < round - 1, avoid, priority, expires_at
