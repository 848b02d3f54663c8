-- PostgreSQL only: sets the sequence, so that no message number is used twice.
SELECT setval('message_numbers', greatest({last_number}, (SELECT last_value FROM message_numbers)))
WHERE {last_number} > 0
