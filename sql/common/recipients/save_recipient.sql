-- Saves the status of a recipient.
INSERT INTO recipients (channel, address, status, reason, changed_by, changed_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (channel, address) DO UPDATE SET
    status = excluded.status, reason = excluded.reason,
    changed_by = excluded.changed_by, changed_at = excluded.changed_at
