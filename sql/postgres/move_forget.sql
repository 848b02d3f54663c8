-- Whatever a move may have set up beside the tables.
DROP TRIGGER IF EXISTS move_hold ON deliveries;
DROP FUNCTION IF EXISTS move_hold();
DROP FUNCTION IF EXISTS move_guard();
DROP FUNCTION IF EXISTS move_close();
DROP TRIGGER IF EXISTS move_keep ON months;
DROP FUNCTION IF EXISTS move_keep();
DROP TABLE IF EXISTS move_changes;
DROP TABLE IF EXISTS move_bookmarks;
DELETE FROM meta WHERE name IN ('move', 'held', 'receiving')
