-- Returns the newest match, because some providers reuse ids after some time. Without a provider, any provider matches.
SELECT id FROM deliveries
WHERE reference = ?1 AND (?2 IS NULL OR provider = ?2)
ORDER BY id DESC
LIMIT 1
