CREATE TRIGGER "copy_log_{name}_insert" AFTER INSERT ON {table}
BEGIN
    INSERT INTO copy_changes (table_name, {key_columns}) VALUES ('{name}', {new});
END;

CREATE TRIGGER "copy_log_{name}_update" AFTER UPDATE ON {table}
BEGIN
    INSERT INTO copy_changes (table_name, {key_columns}) VALUES ('{name}', {new});
END;

CREATE TRIGGER "copy_log_{name}_rename" AFTER UPDATE OF {key} ON {table}
BEGIN
    INSERT INTO copy_changes (table_name, {key_columns}) VALUES ('{name}', {old});
END;

CREATE TRIGGER "copy_log_{name}_delete" AFTER DELETE ON {table}
BEGIN
    INSERT INTO copy_changes (table_name, {key_columns}) VALUES ('{name}', {old});
END
