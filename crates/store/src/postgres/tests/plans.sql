-- {rows} messages in twelve partitions, with one attempt each. Half of the messages are in the last partition: a fifth
-- of these wait, and half of the waiting ones are due. In the earlier partitions one message each waits.
INSERT INTO messages (number, id, body, "user", owner, created_at)
SELECT
    (partition << 36) + n, decode(lpad(to_hex((partition << 36) + n), 32, '0'), 'hex'), 'body ' || n,
    CASE n % 3 WHEN 0 THEN 'user ' || n % ({rows} / 10) END,
    CASE n % 600 WHEN 7 THEN 'shop' ELSE '' END,
    1700000000000 + partition * 2592000000 + n
FROM generate_series(0::BIGINT, 11) AS partition,
    generate_series(1, CASE partition WHEN 11 THEN {rows} / 2 ELSE {rows} / 22 END) AS n;

INSERT INTO deliveries (
    id, channel, address, spelling, parts, priority, state, reason, failure, provider, reference, round, recorded, tries,
    resends_left, due_at, expires_at, ended_at, rollup_pending, counted_state, counted_opened, counted_attempts
)
SELECT
    number << 6, 'sms', '+98' || n % ({rows} / 10), '098' || n, 1, n % 2, state,
    CASE state WHEN 'failed' THEN 'no' END, CASE state WHEN 'failed' THEN 'rejected' END,
    CASE state WHEN 'sent' THEN 'blue' END, CASE state WHEN 'sent' THEN 'ref-' || number END, 1, 1, 1, 0,
    CASE state WHEN 'waiting' THEN 1700000000000 + CASE WHEN n % 4 < 2 THEN n ELSE 90000000000 + n END END,
    1800000000000, CASE WHEN state <> 'waiting' THEN 1700000000000 END, n % 100 = 7, state, FALSE, 1
FROM (
    SELECT
        number, number & 68719476735 AS n,
        CASE
            WHEN number >> 36 = 11 AND number % 5 = 0 OR number & 68719476735 = 5 THEN 'waiting'
            WHEN number % 10 = 1 THEN 'failed'
            ELSE 'sent'
        END AS state
    FROM messages
) AS message;

-- The deliveries that have waited longest are leased; a third of the leases have expired.
INSERT INTO leases (id, claims, lease_expires_at)
SELECT id, 1, 1700000000000 + CASE row_number() OVER (ORDER BY id) % 3 WHEN 0 THEN 0 ELSE 90000000000 END
FROM deliveries
WHERE state = 'waiting' AND due_at < 1750000000000
ORDER BY id
LIMIT 300;

INSERT INTO attempts (delivery, sequence, round, provider, outcome, at, duration_ms)
SELECT id, 0, 1, 'blue', 'accepted', 1700000000000, 40 FROM deliveries;

INSERT INTO recipients (channel, address, status, reason, changed_by, changed_at)
SELECT 'sms', '+98' || n, 'inactive', 'test', 'blue', 0 FROM generate_series(1, {rows} / 20) AS n;

INSERT INTO inbound_messages (
    id, provider, reference, sender, receiver, body, is_incomplete, sent_at, received_at, action, account, route, target,
    forwarded_at
)
SELECT
    decode(lpad(to_hex(n), 32, '0'), 'hex'), 'blue', 'mo-' || n, '+98' || n % 1000, '983000', 'text', 0, n, n, 'none',
    CASE n % 100 WHEN 7 THEN 'shop' ELSE '' END, 'orders', 'smpp', CASE WHEN n % 1000 <> 7 THEN n END
FROM generate_series(1, {rows} / 2) AS n;

INSERT INTO unmatched_receipts (reference, provider, sender, status, at, received_at)
SELECT 'early-' || n, 'blue', '', 'delivered', n, n FROM generate_series(1, {rows} / 20) AS n;

INSERT INTO idempotency_keys (key, request, number, message, expires_at)
SELECT sha256(n::TEXT::BYTEA), sha256('r'), n, decode(lpad(to_hex(n), 32, '0'), 'hex'), n
FROM generate_series(1, {rows} / 20) AS n;

INSERT INTO address_counts (address, count)
SELECT '+98' || n, n % 100 FROM generate_series(0, {rows} / 10 - 1) AS n;

INSERT INTO pruned_address_counts (address, count)
SELECT '+98' || n, n % 100 FROM generate_series(0, {rows} / 10 - 1) AS n;

INSERT INTO message_hours (hour, first_number)
SELECT 472222 + partition * 720, partition << 36 FROM generate_series(0::BIGINT, 11) AS partition;

-- The last tenth of the last partition is not counted yet.
UPDATE meta SET number = ((11::BIGINT << 36) + {rows} / 20 * 9) << 6 WHERE name = 'rollup_position';
UPDATE deliveries SET rollup_pending = FALSE WHERE id > ((11::BIGINT << 36) + {rows} / 20 * 9) << 6 AND rollup_pending;

-- Every twentieth message has events, for a hundred endpoints; a tenth of the events waits.
INSERT INTO events (delivery, sequence, message, event_target, endpoint, channel, spelling, event_type, at, state, due_or_ended_at)
SELECT
    number << 6, sequence, id, 'https://host-' || number / 20 % 100 || '/ ', 'host-' || number / 20 % 100, 'sms', '098',
    'sent', created_at, CASE number / 20 % 10 WHEN 0 THEN 'waiting' WHEN 1 THEN 'dead' ELSE 'delivered' END, created_at
FROM messages, generate_series(1, 2) AS sequence
WHERE number % 20 = 0;

-- As many users as messages, and broadcasts of a hundred messages each in the last partition, to a hundred users each.
INSERT INTO users (id, owner, number, created_at)
SELECT 'user ' || n, CASE n % 600 WHEN 7 THEN 'shop' ELSE '' END, n, 0 FROM generate_series(1, {rows}) AS n;

INSERT INTO broadcasts (number, id, body, channel, caller, created_at, to_all, last_user, users, fan_out_position, messages, is_fanned_out)
SELECT n, decode(lpad(to_hex(n), 32, '0'), 'hex'), 'news', 'sms', '', n, 0, {rows}, 100, {rows}, 100, 1
FROM generate_series(1, {rows} / 300) AS n;

INSERT INTO broadcast_users (broadcast, user_number)
SELECT b, n FROM generate_series(1, {rows} / 300) AS b, generate_series(1, 100) AS n;

INSERT INTO broadcast_messages (first_number, last_number, broadcast)
SELECT (11::BIGINT << 36) + n * 100 + 1, (11::BIGINT << 36) + n * 100 + 100, n FROM generate_series(1, {rows} / 300) AS n;
