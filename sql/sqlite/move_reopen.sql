DROP TRIGGER IF EXISTS "move_close_{name}_insert";
DROP TRIGGER IF EXISTS "move_close_{name}_update";
DROP TRIGGER IF EXISTS "move_close_{name}_delete"
