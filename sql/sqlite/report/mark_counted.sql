UPDATE deliveries SET
    rollup_pending = 0, counted_state = state, counted_failure = failure, counted_provider = provider,
    counted_opened = opened_at IS NOT NULL, counted_attempts = ?2
WHERE id = ?1
