-- Reads the status of a recipient.
SELECT status, reason, changed_by, changed_at FROM recipients WHERE channel = $1 AND address = $2
