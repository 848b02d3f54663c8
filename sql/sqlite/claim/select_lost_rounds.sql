-- Selects settled deliveries with rounds that were never recorded and whose lease has expired: the worker stopped during
-- the call, and no later claim names the copies that it may have sent.
SELECT d.id, d.round + 1 AS round, d.round - d.recorded AS lost_rounds
FROM deliveries AS d
WHERE d.state <> 'waiting' AND d.due_at <= ?1
LIMIT ?2
