-- Loads the claimed deliveries and returns for each whether it is waiting and due, and how many of its rounds were
-- never recorded. It is a separate statement after acquire_lease.sql, so that it sees everything committed before the
-- lease was free. The conditions on lists of ids repeat the joins, so that the planner skips partitions without
-- matching rows. `state` is not a condition: the planner would scan the index of all waiting deliveries when it does
-- not know their number.
SELECT
    d.channel, d.address, d.spelling, d.parts, d.round + taken.claims, d.tries, d.round + taken.claims - 1 - d.recorded,
    d.avoid, d.priority, d.expires_at, m.id, m.body, d.id, d.contacts, m.subject,
    d.state = 'waiting' AND d.due_at <= taken.now, m.event_target
FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS taken (id, claims, now)
JOIN deliveries AS d ON d.id = taken.id
JOIN messages AS m ON m.number = taken.id >> 6
WHERE d.id = ANY ($1) AND m.number = ANY ($4)
