SELECT tokens_micros, counted_at, next_slot_micros, paused_until FROM paces WHERE provider = ?1
