CREATE OR REPLACE FUNCTION move_close() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the store was moved to %', (SELECT convert_from(bytes, 'UTF8') FROM meta WHERE name = 'moved')
        USING ERRCODE = 'PM001';
END
$$;

CREATE TRIGGER move_close BEFORE INSERT OR UPDATE OR DELETE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION move_close()
