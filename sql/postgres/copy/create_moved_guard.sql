-- Creates the guard that rejects writes to a table of a store that was moved.
CREATE OR REPLACE FUNCTION write_guard_moved() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the store was moved to %', (SELECT convert_from(bytes, 'UTF8') FROM meta WHERE name = 'moved')
        USING ERRCODE = 'PM001';
END
$$;

CREATE TRIGGER write_guard_moved BEFORE INSERT OR UPDATE OR DELETE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION write_guard_moved()
