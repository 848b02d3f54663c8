-- Locked until the transaction ends: one process counts at a time.
SELECT tokens_micros, counted_at, next_slot_micros, paused_until FROM paces WHERE provider = $1 FOR UPDATE
