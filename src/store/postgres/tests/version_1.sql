-- What a store of the first version can hold: a message that was sent and was counted, and one that waits.
INSERT INTO messages (number, id, body, "user", created_at) VALUES
    (3, decode('07070707070707070000000000000007', 'hex'), 'old body', NULL, 1699999200000),
    (4, decode('07070707070707070000000000000008', 'hex'), 'old and waiting', NULL, 1699999200000);
SELECT setval('message_numbers', 4);
INSERT INTO hours (hour, first_number) VALUES (472222, 3);
INSERT INTO deliveries (
    id, channel, address, spelling, parts, priority, state, round, recorded, tries, resends_left, provider, reference,
    due_at, expires_at, ended_at, counted_state, counted_provider, counted_opened, counted_attempts
) VALUES
    (192, 'sms', '+98912', '0912', 1, 1, 'sent', 1, 1, 1, 0, 'blue', 'b-3', NULL, 1700099200000, 1699999201000,
        'sent', 'blue', FALSE, 1),
    (256, 'sms', '+98912', '0912', 1, 1, 'waiting', 0, 0, 0, 0, NULL, NULL, 1699999200000, 1700099200000, NULL,
        NULL, NULL, NULL, NULL);
INSERT INTO attempts (delivery, place, round, provider, outcome, at, duration_ms) VALUES
    (192, 0, 1, 'blue', 'accepted', 1699999201000, 40);
UPDATE meta SET number = 192 WHERE name = 'folded';
INSERT INTO tallies (ledger, line, entry, origin, count) VALUES
    ('messages', '', '', 'live', 1), ('states', 'sent', '', 'live', 1), ('carried', 'blue', 'sent', 'live', 1),
    ('hours', '0000472222', 'accepted', 'live', 1), ('hours', '0000472222', 'sent', 'live', 1),
    ('outcomes', 'blue', 'accepted', 'live', 1), ('durations', 'blue', '03', 'live', 1);
INSERT INTO addresses (address, count) VALUES ('+98912', 1);
