-- Inserts idempotency keys and returns them. Replaces an expired row with the same key. A key that is not returned was
-- inserted by another process.
INSERT INTO idempotency_keys (key, request, number, message, expires_at)
SELECT * FROM unnest($1::BYTEA[], $2::BYTEA[], $3::BIGINT[], $4::BYTEA[], $5::BIGINT[])
ON CONFLICT (key) DO UPDATE SET
    request = excluded.request, number = excluded.number,
    message = excluded.message, expires_at = excluded.expires_at
WHERE idempotency_keys.expires_at <= $6
RETURNING key
