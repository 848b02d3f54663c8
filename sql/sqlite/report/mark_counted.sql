-- Marks a delivery as counted, with the values that were counted. A rebuild also counts rows that already have these
-- values; such rows are not written again.
UPDATE deliveries SET
    rollup_pending = 0, counted_state = state, counted_failure = failure, counted_provider = provider,
    counted_opened = opened_at IS NOT NULL, counted_attempts = ?2
WHERE id = ?1 AND (
    rollup_pending = 1 OR counted_state IS NOT state OR counted_failure IS NOT failure
    OR counted_provider IS NOT provider OR counted_opened IS NOT (opened_at IS NOT NULL)
    OR counted_attempts IS NOT ?2
)
