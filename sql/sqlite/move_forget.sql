-- Whatever a move may have set up beside the tables.
DROP TRIGGER IF EXISTS move_hold;
DROP TABLE IF EXISTS move_changes;
DROP TABLE IF EXISTS move_bookmarks;
DELETE FROM meta WHERE name IN ('move', 'held', 'receiving')
