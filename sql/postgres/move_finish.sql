-- What only this dialect keeps: numbers are never given out twice.
SELECT setval('message_numbers', greatest({numbers}, (SELECT last_value FROM message_numbers))) WHERE {numbers} > 0
