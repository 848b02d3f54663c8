CREATE TRIGGER "write_guard_receiving_{name}_insert" BEFORE INSERT ON {table}
WHEN EXISTS (SELECT 1 FROM meta WHERE name = 'receiving')
BEGIN
    SELECT RAISE(ABORT, 'postrider: receiving');
END;

CREATE TRIGGER "write_guard_receiving_{name}_update" BEFORE UPDATE ON {table}
WHEN EXISTS (SELECT 1 FROM meta WHERE name = 'receiving')
BEGIN
    SELECT RAISE(ABORT, 'postrider: receiving');
END;

CREATE TRIGGER "write_guard_receiving_{name}_delete" BEFORE DELETE ON {table}
WHEN EXISTS (SELECT 1 FROM meta WHERE name = 'receiving')
BEGIN
    SELECT RAISE(ABORT, 'postrider: receiving');
END
