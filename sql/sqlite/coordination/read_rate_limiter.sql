SELECT tokens_micros, counted_at, next_slot_micros, cooldown_until FROM rate_limiters WHERE provider = ?1
