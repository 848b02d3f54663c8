-- The newest, because some providers use an id again after long enough. No provider given means any.
SELECT id FROM deliveries
WHERE reference = $1 AND ($2 IS NULL OR provider = $2)
ORDER BY id DESC
LIMIT 1
