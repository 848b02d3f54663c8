-- Uses the address that was actually tried when the delivery has several. A recipient that opted out keeps that status,
-- which is stronger. If several deliveries concern the same recipient, the last one counts.
INSERT INTO recipients (channel, address, status, reason, changed_by, changed_at)
SELECT DISTINCT ON (d.channel, coalesce(dead.address, d.address))
    d.channel, coalesce(dead.address, d.address), 'inactive', dead.reason, dead.changed_by, dead.at
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[], $4::BIGINT[], $5::TEXT[])
WITH ORDINALITY AS dead (id, reason, changed_by, at, address, place)
JOIN deliveries AS d ON d.id = dead.id
WHERE d.id = ANY ($1)
ORDER BY d.channel, coalesce(dead.address, d.address), dead.place DESC
ON CONFLICT (channel, address) DO UPDATE SET
    status = excluded.status, reason = excluded.reason,
    changed_by = excluded.changed_by, changed_at = excluded.changed_at
WHERE recipients.status <> 'opted_out'
