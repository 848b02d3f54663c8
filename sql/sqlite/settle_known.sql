-- A delivery that a provider took once.
SELECT id FROM deliveries WHERE id = ?1 AND provider IS NOT NULL
