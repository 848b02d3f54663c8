-- Reads the rate limiter of a provider and locks it until the transaction ends, so that one process at a time takes
-- tokens.
SELECT tokens_micros, counted_at, next_slot_micros, cooldown_until FROM rate_limiters WHERE provider = $1 FOR UPDATE
