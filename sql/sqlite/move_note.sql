CREATE TRIGGER "move_note_{name}_insert" AFTER INSERT ON {table}
BEGIN
    INSERT INTO move_changes (place, {slots}) VALUES ('{name}', {new});
END;

CREATE TRIGGER "move_note_{name}_update" AFTER UPDATE ON {table}
BEGIN
    INSERT INTO move_changes (place, {slots}) VALUES ('{name}', {new});
END;

CREATE TRIGGER "move_note_{name}_rename" AFTER UPDATE OF {key} ON {table}
BEGIN
    INSERT INTO move_changes (place, {slots}) VALUES ('{name}', {old});
END;

CREATE TRIGGER "move_note_{name}_delete" AFTER DELETE ON {table}
BEGIN
    INSERT INTO move_changes (place, {slots}) VALUES ('{name}', {old});
END
