-- Numbers for so many messages. Taken after the lock, or the report could pass over a number that comes late.
SELECT nextval('message_numbers') FROM generate_series(1, $1)
