-- Takes the leases that are free, in the order of the ids. A lease that has ended and is locked is being taken or
-- recorded: whoever finds it so has lost it. One that is not there yet can only be waited for: for the commit of the
-- claim that makes it. Row by row, because no plan that reads the whole table is ever better.
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS asked (id, now, until)
), ended AS MATERIALIZED (
    SELECT l.id, asked.until
    FROM asked CROSS JOIN LATERAL (
        SELECT id FROM leases WHERE id = asked.id AND until <= asked.now FOR UPDATE SKIP LOCKED
    ) AS l
), again AS (
    UPDATE leases AS l SET claims = l.claims + 1, until = ended.until
    FROM ended
    WHERE l.id = ended.id
    RETURNING l.id, l.claims
), first AS (
    INSERT INTO leases (id, claims, until)
    SELECT id, 1, until FROM asked
    WHERE (SELECT l.id FROM leases AS l WHERE l.id = asked.id) IS NULL
    ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, claims
)
SELECT id, claims FROM again
UNION ALL
SELECT id, claims FROM first
