-- Returns the records of these idempotency keys. Expired keys count as absent, although their rows remain until they
-- are pruned.
SELECT key, request, number, message FROM idempotency_keys WHERE key = ANY ($1) AND expires_at > $2
