-- Returns where the store was moved to, and whether a move is filling it.
SELECT
    (SELECT convert_from(bytes, 'UTF8') FROM meta WHERE name = 'moved') AS moved_to,
    EXISTS (SELECT 1 FROM meta WHERE name = 'receiving') AS is_receiving
