-- Who has opted out already stays so since then.
INSERT INTO recipients (channel, address, standing, reason, changed_by, changed_at)
VALUES ($1, $2, 'opted_out', $3, $4, $5)
ON CONFLICT (channel, address) DO UPDATE SET
    standing = excluded.standing, reason = excluded.reason,
    changed_by = excluded.changed_by, changed_at = excluded.changed_at
WHERE recipients.standing <> 'opted_out'
