-- Extends the lease of a claim, for a call with a longer limit. If another worker has claimed the delivery since then,
-- the number of claims differs and nothing changes.
UPDATE leases SET lease_expires_at = $3 WHERE id = $1 AND claims = $2
RETURNING id
