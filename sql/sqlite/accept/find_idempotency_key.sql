-- Returns what was stored for this key. An expired key counts as absent, although its row remains until it is pruned.
SELECT request, number, message FROM idempotency_keys WHERE key = ?1 AND expires_at > ?2
