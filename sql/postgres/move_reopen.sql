DROP TRIGGER IF EXISTS move_close ON {table}
