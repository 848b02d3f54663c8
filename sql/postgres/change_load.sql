-- What an operator or a client wants changed, and whether its last round has an end: else a worker has it in hand.
-- Locked in the order of the ids, as everybody does who locks several.
SELECT state, failure, reason, due_at, ended_at, provider, reference, id, channel, priority, recorded = round
FROM deliveries
WHERE id = ANY ($1)
ORDER BY id
FOR UPDATE
