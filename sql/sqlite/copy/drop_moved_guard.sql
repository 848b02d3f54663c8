DROP TRIGGER IF EXISTS "write_guard_moved_{name}_insert";
DROP TRIGGER IF EXISTS "write_guard_moved_{name}_update";
DROP TRIGGER IF EXISTS "write_guard_moved_{name}_delete"
