-- Opts a recipient out. A recipient that has already opted out keeps the time of its first opt-out.
INSERT INTO recipients (channel, address, status, reason, changed_by, changed_at)
VALUES ($1, $2, 'opted_out', $3, $4, $5)
ON CONFLICT (channel, address) DO UPDATE SET
    status = excluded.status, reason = excluded.reason,
    changed_by = excluded.changed_by, changed_at = excluded.changed_at
WHERE recipients.status <> 'opted_out'
