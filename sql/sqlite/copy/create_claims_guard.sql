-- Rejects new rounds until the time in meta.claims_paused (milliseconds since 1970). If the move process ends, the
-- pause expires.
CREATE TRIGGER IF NOT EXISTS write_guard_claims BEFORE UPDATE OF round ON deliveries
WHEN NEW.round > OLD.round
    AND (SELECT value FROM meta WHERE name = 'claims_paused') > CAST(unixepoch('subsec') * 1000 AS INTEGER)
BEGIN
    SELECT RAISE(ABORT, 'postrider: claims_paused');
END
