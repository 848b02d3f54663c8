-- Acquires the leases that are free, in the order of the ids. An expired lease that is locked is being acquired or
-- recorded by another transaction and is skipped. A lease that does not exist yet is inserted; a concurrent insert of
-- the same lease waits for the other commit. MATERIALIZED and LATERAL force one index lookup per id: no plan that scans
-- the table is faster.
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS asked (id, now, lease_expires_at)
), ended AS MATERIALIZED (
    SELECT l.id, asked.lease_expires_at
    FROM asked CROSS JOIN LATERAL (
        SELECT id FROM leases WHERE id = asked.id AND lease_expires_at <= asked.now FOR UPDATE SKIP LOCKED
    ) AS l
), again AS (
    UPDATE leases AS l SET claims = l.claims + 1, lease_expires_at = ended.lease_expires_at
    FROM ended
    WHERE l.id = ended.id
    RETURNING l.id, l.claims
), first AS (
    INSERT INTO leases (id, claims, lease_expires_at)
    SELECT id, 1, lease_expires_at FROM asked
    WHERE (SELECT l.id FROM leases AS l WHERE l.id = asked.id) IS NULL
    ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, claims
)
SELECT id, claims FROM again
UNION ALL
SELECT id, claims FROM first
