-- Creates the guard that rejects writes to a table of a store that a move is filling, except by the move itself.
CREATE OR REPLACE FUNCTION write_guard_receiving() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM meta WHERE name = 'receiving') THEN
        RAISE EXCEPTION 'the store is being filled' USING ERRCODE = 'PM003';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER write_guard_receiving BEFORE INSERT OR UPDATE OR DELETE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION write_guard_receiving()
