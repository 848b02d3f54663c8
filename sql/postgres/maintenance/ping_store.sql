-- A real write: only a write shows that the disk is neither full nor read-only.
UPDATE meta SET number = number + 1 WHERE name = 'ping_counter' RETURNING number AS value
