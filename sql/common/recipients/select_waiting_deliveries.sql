-- Selects the waiting deliveries to one address. For a recipient with several addresses the claim skips the address
-- instead.
SELECT id FROM deliveries
WHERE address = $1 AND channel = $2 AND state = 'waiting' AND contacts IS NULL
ORDER BY id
LIMIT 1000
