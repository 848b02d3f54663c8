-- Deletes the leases of pruned deliveries.
DELETE FROM leases WHERE id = ANY ($1)
