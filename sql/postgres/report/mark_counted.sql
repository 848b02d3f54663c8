-- Marks deliveries as counted, with the values that were counted. A rebuild also counts rows that already have these
-- values; such rows are not written again.
UPDATE deliveries AS d SET
    rollup_pending = FALSE, counted_state = d.state, counted_failure = d.failure, counted_provider = d.provider,
    counted_opened = d.opened_at IS NOT NULL, counted_attempts = counted.attempts
FROM unnest($1::BIGINT[], $2::BIGINT[]) AS counted (id, attempts)
WHERE d.id = counted.id AND d.id = ANY ($1) AND (
    d.rollup_pending OR d.counted_state IS DISTINCT FROM d.state OR d.counted_failure IS DISTINCT FROM d.failure
    OR d.counted_provider IS DISTINCT FROM d.provider
    OR d.counted_opened IS DISTINCT FROM (d.opened_at IS NOT NULL)
    OR d.counted_attempts IS DISTINCT FROM counted.attempts
)
