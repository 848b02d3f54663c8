-- What an operator or a client wants changed, and whether its last round has an end: else a worker has it in hand.
SELECT state, failure, reason, due_at, ended_at, provider, reference, d.id, channel, priority, recorded = round,
    (SELECT m.watch FROM messages AS m WHERE m.number = d.id >> 6)
FROM deliveries AS d
WHERE d.id BETWEEN ?1 AND ?2
