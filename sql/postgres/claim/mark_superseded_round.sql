-- Marks deliveries with superseded rounds for the rollups, because the attempts of a superseded round are counted as
-- well.
UPDATE deliveries SET rollup_pending = TRUE WHERE id = ANY ($1)
