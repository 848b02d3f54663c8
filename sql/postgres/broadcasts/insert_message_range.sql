-- Inserts the ranges of message numbers that one fan-out step stored.
INSERT INTO broadcast_messages (first_number, last_number, broadcast)
SELECT first_number, last_number, $3 FROM unnest($1::BIGINT[], $2::BIGINT[]) AS ranges (first_number, last_number)
