-- The address that was used, where the delivery has several. Whoever has opted out stays so: it is the stronger word.
INSERT INTO recipients (channel, address, standing, reason, changed_by, changed_at)
SELECT channel, coalesce(?5, address), 'inactive', ?2, ?3, ?4 FROM deliveries WHERE id = ?1
ON CONFLICT (channel, address) DO UPDATE SET
    standing = excluded.standing, reason = excluded.reason,
    changed_by = excluded.changed_by, changed_at = excluded.changed_at
WHERE recipients.standing <> 'opted_out'
