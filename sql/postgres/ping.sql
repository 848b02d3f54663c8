-- A real write: only that tells a full or read-only disk from a good one.
UPDATE meta SET number = number + 1 WHERE name = 'pulse' RETURNING number
