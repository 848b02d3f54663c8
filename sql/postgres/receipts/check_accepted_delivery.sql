-- Returns those of the deliveries that a provider accepted at least once, with their latest accepted copy.
SELECT requested.input_index, d.id, d.provider, d.reference, NULL::TEXT AS address
FROM unnest($1::BIGINT[], $2::BIGINT[]) AS requested (input_index, id)
JOIN deliveries AS d ON d.id = requested.id
WHERE d.id = ANY ($2) AND d.provider IS NOT NULL
