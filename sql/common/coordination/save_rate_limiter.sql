-- Saves the rate limiter of a provider.
INSERT INTO rate_limiters (provider, tokens_micros, counted_at, next_slot_micros, cooldown_until)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (provider) DO UPDATE SET
    tokens_micros = excluded.tokens_micros, counted_at = excluded.counted_at,
    next_slot_micros = excluded.next_slot_micros, cooldown_until = excluded.cooldown_until
