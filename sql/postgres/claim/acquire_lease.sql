-- Claims deliveries: acquires the leases that are free, in the order of the ids, and returns the number of claims of
-- each. An expired lease that is locked is being acquired or recorded by another transaction and is skipped. A lease
-- that does not exist yet is inserted; a concurrent insert of the same lease waits for the other commit. MATERIALIZED
-- and LATERAL force one index lookup per id: no plan that scans the table is faster.
WITH requested AS MATERIALIZED (
    SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS requested (id, now, lease_expires_at)
), expired AS MATERIALIZED (
    SELECT l.id, requested.lease_expires_at
    FROM requested CROSS JOIN LATERAL (
        SELECT id FROM leases WHERE id = requested.id AND lease_expires_at <= requested.now FOR UPDATE SKIP LOCKED
    ) AS l
), renewed AS (
    UPDATE leases AS l SET claims = l.claims + 1, lease_expires_at = expired.lease_expires_at
    FROM expired
    WHERE l.id = expired.id
    RETURNING l.id, l.claims
), inserted AS (
    INSERT INTO leases (id, claims, lease_expires_at)
    SELECT id, 1, lease_expires_at FROM requested
    WHERE (SELECT l.id FROM leases AS l WHERE l.id = requested.id) IS NULL
    ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, claims
)
SELECT id, claims FROM renewed
UNION ALL
SELECT id, claims FROM inserted
