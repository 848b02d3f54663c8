-- Returns the delivery with its latest accepted copy, if a provider accepted it at least once.
SELECT id, provider, reference, NULL AS address FROM deliveries WHERE id = ?1 AND provider IS NOT NULL
