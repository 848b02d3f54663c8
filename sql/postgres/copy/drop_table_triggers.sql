-- Drops everything that a move may have created on a table, except the guard that keeps a moved store closed.
SET LOCAL client_min_messages = WARNING;
DROP TRIGGER IF EXISTS copy_log ON {table};
DROP TRIGGER IF EXISTS write_guard_receiving ON {table};
DROP FUNCTION IF EXISTS "copy_log_{name}"()
