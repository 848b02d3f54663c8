-- What was taken, and whether it waits and is due. A statement of its own after claim_take, so that it sees whatever was
-- recorded or called off before the lease was free. It answers how many of the rounds so far were never recorded. The
-- lists of ids stand beside the joins, so that the planner leaves out the months that have none of them; what waits is
-- not asked for as a condition, or it goes through the index of all that waits when it does not know how many there are.
SELECT
    d.channel, d.address, d.spelling, d.parts, d.round + taken.claims, d.tries, d.round + taken.claims - 1 - d.recorded,
    d.avoid, d.priority, d.expires_at, m.id, m.body, d.id, d.contacts, m.subject,
    d.state = 'waiting' AND d.due_at <= taken.now, m.watch
FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS taken (id, claims, now)
JOIN deliveries AS d ON d.id = taken.id
JOIN messages AS m ON m.number = taken.id >> 6
WHERE d.id = ANY ($1) AND m.number = ANY ($4)
