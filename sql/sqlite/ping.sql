-- A real write: only that tells a full or read-only disk from a good one.
UPDATE meta SET value = value + 1 WHERE name = 'pulse' RETURNING value
