-- Selects a delivery that can be claimed. The write transaction is exclusive and acquire_lease.sql runs later in it, so
-- every returned row is claimed. Also returns how many of its rounds were never recorded. UPDATE … RETURNING is not
-- used: SQLite builds a temporary table for it each time, which costs more than everything else.
SELECT
    d.id, d.channel, d.address, d.spelling, d.parts, d.round + 1 AS round, d.tries,
    d.round - d.recorded AS unrecorded_claims, d.avoid, d.priority, d.expires_at, d.contacts,
    CASE WHEN d.recorded > 0 THEN (
        SELECT count(*) FROM attempts AS a WHERE a.delivery = d.id AND a.outcome = 'unknown'
    ) ELSE 0 END AS unknown_attempts,
    m.id AS message, m.body, m.subject, m.sender, m.event_target, m.at_most_once,
    m.expires_at AS client_expires_at
FROM deliveries AS d NOT INDEXED
CROSS JOIN messages AS m ON m.number = d.id >> 6
WHERE d.id = ?1 AND d.state = 'waiting' AND d.due_at <= ?2
