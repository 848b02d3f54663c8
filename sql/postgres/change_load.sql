-- What is held, and whether its last round has an end: one that began before there were leases can be in a worker's
-- hands as well. Locked in the order of the ids, as everybody does who locks several.
SELECT state, failure, reason, due_at, ended_at, provider, reference, id, channel, priority, recorded = round,
    (SELECT m.watch FROM messages AS m WHERE m.number = d.id >> 6)
FROM deliveries AS d
WHERE id = ANY ($1)
ORDER BY id
FOR UPDATE
