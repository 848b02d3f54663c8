-- Deletes pruned deliveries.
DELETE FROM deliveries WHERE id = ANY ($1)
