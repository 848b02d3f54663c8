-- Only this dialect has leases: what they say is put down in the deliveries, which both have. Their rounds can be
-- recorded all the same.
WITH put_down AS (
    DELETE FROM leases WHERE claims > 0 RETURNING id, claims, until
)
UPDATE deliveries AS d SET round = d.round + l.claims, due_at = greatest(d.due_at, l.until)
FROM put_down AS l
WHERE d.id = l.id AND d.state = 'waiting'
