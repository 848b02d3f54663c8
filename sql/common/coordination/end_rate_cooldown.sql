-- Ends the cooldown of a rate limiter. The number of tokens does not change.
UPDATE rate_limiters SET cooldown_until = NULL, next_slot_micros = NULL, counted_at = $1
WHERE cooldown_until > $1 AND provider = $2
