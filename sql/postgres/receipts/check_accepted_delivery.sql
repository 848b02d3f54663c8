-- Returns those of the deliveries that a provider accepted at least once.
SELECT asked.place, d.id
FROM unnest($1::BIGINT[], $2::BIGINT[]) AS asked (place, id)
JOIN deliveries AS d ON d.id = asked.id
WHERE d.id = ANY ($2) AND d.provider IS NOT NULL
