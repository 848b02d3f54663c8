-- Uses the address of the attempt if the delivery has several addresses. A recipient that opted out keeps that status,
-- which is stronger.
INSERT INTO recipients (channel, address, status, reason, changed_by, changed_at)
SELECT channel, coalesce(?5, address), 'inactive', ?2, ?3, ?4 FROM deliveries WHERE id = ?1
ON CONFLICT (channel, address) DO UPDATE SET
    status = excluded.status, reason = excluded.reason,
    changed_by = excluded.changed_by, changed_at = excluded.changed_at
WHERE recipients.status <> 'opted_out'
