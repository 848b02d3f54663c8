-- Blocks claims: inserts leases without rounds, so that no worker claims these deliveries before the transaction ends.
-- A delivery whose id is not returned is claimed by a worker. A worker that claims at the same time waits for the
-- commit and then sees the new state.
INSERT INTO leases (id, claims, lease_expires_at)
SELECT d.id, 0, 0 FROM deliveries AS d
WHERE d.id = ANY ($1) AND (SELECT l.id FROM leases AS l WHERE l.id = d.id) IS NULL
ORDER BY d.id
ON CONFLICT (id) DO NOTHING
RETURNING id
