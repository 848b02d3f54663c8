-- Drops everything that a move may have created, except what belongs to a single table.
DROP TRIGGER IF EXISTS write_guard_claims ON leases;
DROP FUNCTION IF EXISTS write_guard_claims();
DROP FUNCTION IF EXISTS write_guard_receiving();
DROP FUNCTION IF EXISTS write_guard_moved();
DROP TRIGGER IF EXISTS write_guard_partitions ON partitions;
DROP FUNCTION IF EXISTS write_guard_partitions();
DROP TABLE IF EXISTS copy_changes;
DROP TABLE IF EXISTS copy_progress;
DELETE FROM meta WHERE name IN ('move_id', 'claims_paused', 'receiving')
