-- Whoever finds a row locked has lost it. It answers how many of the rounds so far were never recorded. The lists of
-- ids stand beside the joins, so that the planner leaves out the months that have none of them.
WITH won AS MATERIALIZED (
    SELECT d.id, asked.until
    FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS asked (id, now, until)
    JOIN deliveries AS d ON d.id = asked.id
    WHERE d.id = ANY ($1) AND d.state = 'waiting' AND d.due_at <= asked.now
    ORDER BY d.id
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE deliveries AS d SET due_at = won.until, round = d.round + 1
FROM won JOIN messages AS m ON m.number = won.id >> 6
WHERE d.id = won.id AND d.id = ANY ($1) AND m.number = ANY ($4)
RETURNING
    d.channel, d.address, d.spelling, d.parts, d.round, d.tries, d.round - 1 - d.recorded, d.avoid, d.priority,
    d.expires_at, m.id, m.body, d.id, d.contacts, m.subject
