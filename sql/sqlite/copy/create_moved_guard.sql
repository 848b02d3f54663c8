CREATE TRIGGER "write_guard_moved_{name}_insert" BEFORE INSERT ON {table}
BEGIN
    SELECT RAISE(ABORT, 'postrider: moved to ' || (SELECT CAST(value AS TEXT) FROM meta WHERE name = 'moved'));
END;

CREATE TRIGGER "write_guard_moved_{name}_update" BEFORE UPDATE ON {table}
BEGIN
    SELECT RAISE(ABORT, 'postrider: moved to ' || (SELECT CAST(value AS TEXT) FROM meta WHERE name = 'moved'));
END;

CREATE TRIGGER "write_guard_moved_{name}_delete" BEFORE DELETE ON {table}
BEGIN
    SELECT RAISE(ABORT, 'postrider: moved to ' || (SELECT CAST(value AS TEXT) FROM meta WHERE name = 'moved'));
END
