-- Returns the delivery if a provider accepted it at least once.
SELECT id FROM deliveries WHERE id = ?1 AND provider IS NOT NULL
