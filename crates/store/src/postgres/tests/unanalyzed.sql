-- {rows} waiting messages, each with a lease.
INSERT INTO messages (number, id, body, created_at)
SELECT n, decode(lpad(to_hex(n), 32, '0'), 'hex'), 'body ' || n, 1700000000000
FROM generate_series(1, {rows}) AS n;

INSERT INTO deliveries (id, channel, address, spelling, parts, priority, state, resends_left, due_at, expires_at)
SELECT n << 6, 'sms', '+98' || n, '098' || n, 1, 1, 'waiting', 0, 1700000000000, 1800000000000
FROM generate_series(1, {rows}) AS n;

INSERT INTO leases (id, claims, lease_expires_at)
SELECT n << 6, 1, 1700000000000 FROM generate_series(1, {rows}) AS n;
