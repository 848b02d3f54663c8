-- Keeps workers away from what an operator or a client wants changed, until change_release: what does not come back is
-- in a worker's hands. Whoever claims the same waits for the commit, and looks afterwards.
INSERT INTO leases (id, claims, until)
SELECT d.id, 0, 0 FROM deliveries AS d
WHERE d.id = ANY ($1) AND (SELECT l.id FROM leases AS l WHERE l.id = d.id) IS NULL
ORDER BY d.id
ON CONFLICT (id) DO NOTHING
RETURNING id
