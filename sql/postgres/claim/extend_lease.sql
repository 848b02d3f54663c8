-- Extends the lease of a claim, for a call with a longer limit. Another worker's claim since then is left alone: it
-- counted one claim more.
UPDATE leases SET lease_expires_at = $3 WHERE id = $1 AND claims = $2
RETURNING id
