-- Loads the attempts of the deliveries of one message.
SELECT round, provider, outcome, code, reason, at, duration_ms, delivery, address, reference FROM attempts
WHERE delivery BETWEEN $1 AND $2
ORDER BY delivery, round, sequence
