-- Drops the guard of a table of a store that was moved.
DROP TRIGGER IF EXISTS write_guard_moved ON {table}
