-- Inserts messages.
INSERT INTO messages (
    number, id, body, "user", created_at, subject, event_target, owner, at_most_once, expires_at, sender
)
SELECT * FROM unnest(
    $1::BIGINT[], $2::BYTEA[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::BIGINT[],
    $10::BIGINT[], $11::TEXT[]
)
