-- Stores the reference of a late answer with the attempt that had ended without one, and returns the address of that
-- attempt. Returns no row if the round is not recorded yet, or if the reference is stored already.
UPDATE attempts SET reference = $1
WHERE delivery = $2 AND round = $3 AND provider = $4 AND outcome = 'unknown' AND reference IS NULL
RETURNING address
