-- Merges the leases into `deliveries`, because SQLite has no `leases`. The rounds can still be recorded, also those of a
-- delivery that a receipt has settled in the meantime.
WITH merged AS (
    DELETE FROM leases WHERE claims > 0 RETURNING id, claims, lease_expires_at
)
UPDATE deliveries AS d SET round = d.round + l.claims, due_at = greatest(d.due_at, l.lease_expires_at)
FROM merged AS l
WHERE d.id = l.id
