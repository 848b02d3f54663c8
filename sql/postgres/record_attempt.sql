-- The first and the last id stand beside the comparison, so that the planner leaves out the other months.
INSERT INTO attempts (delivery, place, round, provider, outcome, code, reason, at, duration_ms, address)
SELECT
    a.delivery, a.place + (
        SELECT coalesce(max(b.place), -1) + 1 FROM attempts AS b
        WHERE b.delivery = a.delivery AND b.delivery BETWEEN $11 AND $12
    ),
    a.round, a.provider, a.outcome, a.code, a.reason, a.at, a.duration_ms, a.address
FROM unnest(
    $1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::BIGINT[],
    $9::BIGINT[], $10::TEXT[]
) AS a (delivery, place, round, provider, outcome, code, reason, at, duration_ms, address)
