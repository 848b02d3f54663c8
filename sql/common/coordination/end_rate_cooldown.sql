-- Ends the cooldown of a rate limiter. The tokens stay as few as the cooldown left them.
UPDATE rate_limiters SET cooldown_until = NULL, next_slot_micros = NULL, counted_at = $2
WHERE provider = $1 AND cooldown_until > $2
