-- Locked until the transaction ends, so that only one process updates the rollups at a time.
SELECT number FROM meta WHERE name = 'rollup_position' FOR UPDATE
