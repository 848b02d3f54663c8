-- REPLACE, because an expired row with the same key may still exist.
INSERT OR REPLACE INTO idempotency_keys (key, request, number, message, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
