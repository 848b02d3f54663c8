-- Inserts attempts of deliveries that may have attempts already, numbered after those. The range of delivery ids
-- repeats the comparison, so that the planner skips the other partitions.
INSERT INTO attempts (delivery, sequence, round, provider, outcome, code, reason, at, duration_ms, address, reference)
SELECT
    a.delivery, a.sequence + (
        SELECT coalesce(max(b.sequence), -1) + 1 FROM attempts AS b
        WHERE b.delivery = a.delivery AND b.delivery BETWEEN $12 AND $13
    ),
    a.round, a.provider, a.outcome, a.code, a.reason, a.at, a.duration_ms, a.address, a.reference
FROM unnest(
    $1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::BIGINT[],
    $9::BIGINT[], $10::TEXT[], $11::TEXT[]
) AS a (delivery, sequence, round, provider, outcome, code, reason, at, duration_ms, address, reference)
