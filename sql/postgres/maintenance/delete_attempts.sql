-- Deletes the attempts of pruned deliveries.
DELETE FROM attempts WHERE delivery = ANY ($1)
