-- Only from where it stands: of two who spread the same users the second changes nothing.
UPDATE broadcasts SET reached = $3, unreachable = unreachable + $4, spread = $5
WHERE number = $1 AND reached = $2 AND spread = 0
