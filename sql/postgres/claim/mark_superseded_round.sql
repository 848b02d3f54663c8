-- The attempts of a superseded round are counted as well.
UPDATE deliveries SET rollup_pending = TRUE WHERE id = ANY ($1)
