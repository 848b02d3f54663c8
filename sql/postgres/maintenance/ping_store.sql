-- Increments a counter: only a real write shows that the disk is neither full nor read-only.
UPDATE meta SET number = number + 1 WHERE name = 'ping_counter' RETURNING number AS value
