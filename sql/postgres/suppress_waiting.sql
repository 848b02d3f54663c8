-- What waits for one address. Of a person with several, the claim leaves out those that may not be written to.
SELECT id FROM deliveries
WHERE address = $1 AND channel = $2 AND state = 'waiting' AND contacts IS NULL
ORDER BY id
LIMIT 1000
