-- Creates the trigger of a table that writes the keys of changed rows to the change log.
CREATE FUNCTION "copy_log_{name}"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO copy_changes (table_name, {key_columns}) VALUES ('{name}', {new});
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND ROW({old}) IS DISTINCT FROM ROW({new})) THEN
        INSERT INTO copy_changes (table_name, {key_columns}) VALUES ('{name}', {old});
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER copy_log AFTER INSERT OR UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION "copy_log_{name}"()
