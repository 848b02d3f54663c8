-- Inserts {waiting} messages that have been due for a while, without the accept path.
INSERT INTO messages (number, id, body, created_at)
SELECT n, decode(lpad(to_hex(n), 32, '0'), 'hex'), 'hello ' || n, 1700000000000
FROM generate_series(1, {waiting}) AS n;

INSERT INTO deliveries (
    id, channel, address, spelling, parts, priority, state, resends_left, due_at, expires_at
)
SELECT n::BIGINT << 6, 'sms', '+98912' || n, '0912' || n, 1, 1, 'waiting', 0, 1700000000000 + n, 9000000000000
FROM generate_series(1, {waiting}) AS n;

VACUUM ANALYZE;
