-- Creates the change log: the keys (one to four columns) of rows that changed while a move copies. Each change has its
-- own number.
CREATE TABLE copy_changes (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name TEXT NOT NULL,
    key1       TEXT,
    key2       TEXT,
    key3       TEXT,
    key4       TEXT
);

-- Dropping a whole partition fires no row triggers, so it is rejected while a move copies.
CREATE FUNCTION write_guard_partitions() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a move copies this month' USING ERRCODE = 'PM004';
END
$$;

CREATE TRIGGER write_guard_partitions BEFORE UPDATE ON partitions
FOR EACH ROW WHEN (NEW.is_detached) EXECUTE FUNCTION write_guard_partitions()
