-- Returns the newest attempt with this reference, because some providers reuse ids after some time. Without a provider,
-- any provider matches; a receipt with a sender concerns only messages to it.
SELECT delivery AS id, provider, reference, address FROM attempts INDEXED BY attempts_reference
WHERE reference = ?1 AND provider IS NOT NULL AND (?2 IS NULL OR provider = ?2)
    AND (?3 IS NULL OR ?3 = coalesce(address, (SELECT d.address FROM deliveries AS d WHERE d.id = delivery)))
ORDER BY delivery DESC, sequence DESC
LIMIT 1
