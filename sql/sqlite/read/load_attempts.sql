SELECT round, provider, outcome, code, reason, at, duration_ms, address, reference FROM attempts
WHERE delivery = ?1
ORDER BY round, sequence
