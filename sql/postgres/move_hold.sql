-- No round begins until the mark `held`, in milliseconds since 1970, has passed. A move that dies holds nothing up
-- for long.
CREATE OR REPLACE FUNCTION move_hold() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT number FROM meta WHERE name = 'held') > extract(EPOCH FROM clock_timestamp()) * 1000 THEN
        RAISE EXCEPTION 'the store is about to be moved' USING ERRCODE = 'PM002';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER move_hold BEFORE UPDATE ON deliveries
FOR EACH ROW WHEN (NEW.round > OLD.round) EXECUTE FUNCTION move_hold()
