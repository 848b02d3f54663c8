-- Removes everything that a move may have created, except what belongs to a single table.
DROP TRIGGER IF EXISTS write_guard_claims;
DROP TABLE IF EXISTS copy_changes;
DROP TABLE IF EXISTS copy_progress;
DELETE FROM meta WHERE name IN ('move_id', 'claims_paused', 'receiving')
