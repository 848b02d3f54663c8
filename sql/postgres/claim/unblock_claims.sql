-- Deletes the leases that block_claims.sql inserted.
DELETE FROM leases WHERE id = ANY ($1) AND claims = 0
