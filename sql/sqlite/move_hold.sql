-- No round begins until the mark `held`, in milliseconds since 1970, has passed. A move that dies holds nothing up
-- for long.
CREATE TRIGGER IF NOT EXISTS move_hold BEFORE UPDATE OF round ON deliveries
WHEN NEW.round > OLD.round
    AND (SELECT value FROM meta WHERE name = 'held') > CAST(unixepoch('subsec') * 1000 AS INTEGER)
BEGIN
    SELECT RAISE(ABORT, 'postrider: held');
END
