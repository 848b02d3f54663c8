-- Inserts deliveries. A delivery starts in state 'waiting', or in 'failed' if its recipient is not active.
INSERT INTO deliveries (
    id, channel, address, spelling, parts, priority, state, failure, reason, resends_left,
    due_at, expires_at, ended_at, contacts
)
SELECT * FROM unnest(
    $1::BIGINT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::TEXT[], $8::TEXT[], $9::TEXT[],
    $10::BIGINT[], $11::BIGINT[], $12::BIGINT[], $13::BIGINT[], $14::TEXT[]
)
