-- Returns the newest attempt with this reference, because some providers reuse ids after some time. Without a provider,
-- any provider matches.
SELECT delivery AS id, provider, reference, address FROM attempts INDEXED BY attempts_reference
WHERE reference = ?1 AND provider IS NOT NULL AND (?2 IS NULL OR provider = ?2)
ORDER BY delivery DESC, sequence DESC
LIMIT 1
