-- Whatever a move may have set up at a table, but what keeps a moved store closed.
SET LOCAL client_min_messages = WARNING;
DROP TRIGGER IF EXISTS move_note ON {table};
DROP TRIGGER IF EXISTS move_guard ON {table};
DROP FUNCTION IF EXISTS "move_note_{name}"()
