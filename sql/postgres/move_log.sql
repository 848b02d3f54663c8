-- The keys of rows that were changed while a move copies. A number stands for one change; a key has one to four
-- parts.
CREATE TABLE move_changes (
    seq   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    place TEXT NOT NULL,
    key1  TEXT,
    key2  TEXT,
    key3  TEXT,
    key4  TEXT
);

-- Taking a whole month away fires no trigger at its rows, so it has to wait.
CREATE FUNCTION move_keep() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a move copies this month' USING ERRCODE = 'PM004';
END
$$;

CREATE TRIGGER move_keep BEFORE UPDATE ON months
FOR EACH ROW WHEN (NEW.retired) EXECUTE FUNCTION move_keep()
