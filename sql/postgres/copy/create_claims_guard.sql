-- Creates the guard that rejects claims until the time in meta.claims_paused (milliseconds since 1970). If the move
-- process ends, the pause expires. Changes by operators and clients (claims = 0) are not affected.
CREATE OR REPLACE FUNCTION write_guard_claims() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT number FROM meta WHERE name = 'claims_paused') > extract(EPOCH FROM clock_timestamp()) * 1000 THEN
        RAISE EXCEPTION 'the store is about to be moved' USING ERRCODE = 'PM002';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER write_guard_claims BEFORE INSERT OR UPDATE ON leases
FOR EACH ROW WHEN (NEW.claims > 0) EXECUTE FUNCTION write_guard_claims()
