-- Sets the sequence of message numbers to the last number of the other store, so that no number is used twice.
SELECT setval('message_numbers', greatest({last_number}, (SELECT last_value FROM message_numbers)))
WHERE {last_number} > 0
