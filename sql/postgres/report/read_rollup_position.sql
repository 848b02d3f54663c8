-- Reads the rollup position and locks it until the transaction ends, so that only one process at a time updates the
-- rollups.
SELECT number FROM meta WHERE name = 'rollup_position' FOR UPDATE
