-- Marks deliveries as counted, with the values that were counted.
UPDATE deliveries AS d SET
    rollup_pending = FALSE, counted_state = d.state, counted_failure = d.failure, counted_provider = d.provider,
    counted_opened = d.opened_at IS NOT NULL, counted_attempts = counted.attempts
FROM unnest($1::BIGINT[], $2::BIGINT[]) AS counted (id, attempts)
WHERE d.id = counted.id AND d.id = ANY ($1)
