CREATE FUNCTION "move_note_{name}"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO move_changes (place, {slots}) VALUES ('{name}', {new});
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND ROW({old}) IS DISTINCT FROM ROW({new})) THEN
        INSERT INTO move_changes (place, {slots}) VALUES ('{name}', {old});
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER move_note AFTER INSERT OR UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION "move_note_{name}"()
