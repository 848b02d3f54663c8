DROP TRIGGER IF EXISTS write_guard_moved ON {table}
