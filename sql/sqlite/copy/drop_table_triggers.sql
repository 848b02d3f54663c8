-- Removes everything that a move may have created on a table, except the guard that keeps a moved store closed.
DROP TRIGGER IF EXISTS "copy_log_{name}_insert";
DROP TRIGGER IF EXISTS "copy_log_{name}_update";
DROP TRIGGER IF EXISTS "copy_log_{name}_rename";
DROP TRIGGER IF EXISTS "copy_log_{name}_delete";
DROP TRIGGER IF EXISTS "write_guard_receiving_{name}_insert";
DROP TRIGGER IF EXISTS "write_guard_receiving_{name}_update";
DROP TRIGGER IF EXISTS "write_guard_receiving_{name}_delete"
