-- The address that was used, where the delivery has several. Whoever has opted out stays so: it is the stronger word. Of
-- several deliveries to one recipient the last one counts.
INSERT INTO recipients (channel, address, standing, reason, changed_by, changed_at)
SELECT DISTINCT ON (d.channel, coalesce(dead.address, d.address))
    d.channel, coalesce(dead.address, d.address), 'inactive', dead.reason, dead.changed_by, dead.at
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[], $4::BIGINT[], $5::TEXT[])
WITH ORDINALITY AS dead (id, reason, changed_by, at, address, place)
JOIN deliveries AS d ON d.id = dead.id
WHERE d.id = ANY ($1)
ORDER BY d.channel, coalesce(dead.address, d.address), dead.place DESC
ON CONFLICT (channel, address) DO UPDATE SET
    standing = excluded.standing, reason = excluded.reason,
    changed_by = excluded.changed_by, changed_at = excluded.changed_at
WHERE recipients.standing <> 'opted_out'
