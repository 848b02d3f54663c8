-- Inserts attempts of deliveries that have none yet, numbered as given.
INSERT INTO attempts (delivery, sequence, round, provider, outcome, code, reason, at, duration_ms, address, reference)
SELECT * FROM unnest(
    $1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::BIGINT[],
    $9::BIGINT[], $10::TEXT[], $11::TEXT[]
)
