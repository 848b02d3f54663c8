-- Whatever a move may have set up at a table, but what keeps a moved store closed.
DROP TRIGGER IF EXISTS "move_note_{name}_insert";
DROP TRIGGER IF EXISTS "move_note_{name}_update";
DROP TRIGGER IF EXISTS "move_note_{name}_rename";
DROP TRIGGER IF EXISTS "move_note_{name}_delete";
DROP TRIGGER IF EXISTS "move_guard_{name}_insert";
DROP TRIGGER IF EXISTS "move_guard_{name}_update";
DROP TRIGGER IF EXISTS "move_guard_{name}_delete"
