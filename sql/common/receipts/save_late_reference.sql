-- Stores the reference of a late answer with the attempt that had ended without one, and returns the address of that
-- attempt. No row: the round is not recorded yet, or the reference is known already.
UPDATE attempts SET reference = $1
WHERE delivery = $2 AND round = $3 AND provider = $4 AND outcome = 'unknown' AND reference IS NULL
RETURNING address
