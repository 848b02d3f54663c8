-- Opts a recipient in. Only an opted-out recipient becomes active again: an opt-in does not reactivate an invalid
-- address. An opt-in older than the last change is ignored.
UPDATE recipients SET status = 'active', reason = $3, changed_by = $4, changed_at = $5
WHERE channel = $1 AND address = $2 AND status = 'opted_out' AND changed_at <= $5
