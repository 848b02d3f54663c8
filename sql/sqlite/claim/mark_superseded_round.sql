-- The attempts of a superseded round are counted as well.
UPDATE deliveries SET rollup_pending = (id <= ?2) WHERE id = ?1
