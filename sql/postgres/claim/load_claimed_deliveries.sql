-- Loads the claimed deliveries and returns for each whether it is waiting and due, and how many of its rounds were
-- never recorded. It is a separate statement after acquire_lease.sql, so that it sees everything committed before the
-- lease was free. The conditions on lists of ids repeat the joins, so that the planner skips partitions without
-- matching rows. `state` is not a condition: the planner would scan the index of all waiting deliveries when it does
-- not know their number.
SELECT
    d.id, m.id AS message, d.channel, d.address, d.spelling, d.contacts, m.subject, m.body, m.sender, d.parts,
    d.round + acquired.claims AS round, d.tries, d.round + acquired.claims - 1 - d.recorded AS unrecorded_claims,
    CASE WHEN d.recorded > 0 THEN (
        SELECT count(*) FROM attempts AS a WHERE a.delivery = d.id AND a.outcome = 'unknown'
    ) ELSE 0 END AS unknown_attempts,
    d.avoid, d.priority, d.expires_at, m.event_target, m.at_most_once, m.expires_at AS client_expires_at,
    d.state = 'waiting' AND d.due_at <= acquired.now AS is_due
FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS acquired (id, claims, now)
JOIN deliveries AS d ON d.id = acquired.id
JOIN messages AS m ON m.number = acquired.id >> 6
WHERE d.id = ANY ($1) AND m.number = ANY ($4)
