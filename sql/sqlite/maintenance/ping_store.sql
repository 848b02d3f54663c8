-- A real write: only a write shows that the disk is neither full nor read-only.
UPDATE meta SET value = value + 1 WHERE name = 'ping_counter' RETURNING value
