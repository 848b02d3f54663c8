-- The transaction is the only one that writes, so one statement is both the race and its end.
-- It answers how many of the rounds before this one were never recorded.
UPDATE deliveries SET due_at = ?3, round = round + 1
WHERE id = ?1 AND state = 'waiting' AND due_at <= ?2
RETURNING channel, address, spelling, parts, round, tries, round - 1 - recorded, avoid, priority, expires_at
