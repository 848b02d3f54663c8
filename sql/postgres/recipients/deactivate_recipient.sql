-- Makes recipients with invalid addresses inactive. Uses the address of the attempt when the delivery has several
-- addresses. A recipient that opted out keeps that status, which is stronger. If several deliveries concern the same
-- recipient, the last one counts.
INSERT INTO recipients (channel, address, status, reason, changed_by, changed_at)
SELECT DISTINCT ON (d.channel, coalesce(invalid.address, d.address))
    d.channel, coalesce(invalid.address, d.address), 'inactive', invalid.reason, invalid.changed_by, invalid.at
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[], $4::BIGINT[], $5::TEXT[])
WITH ORDINALITY AS invalid (id, reason, changed_by, at, address, input_index)
JOIN deliveries AS d ON d.id = invalid.id
WHERE d.id = ANY ($1)
ORDER BY d.channel, coalesce(invalid.address, d.address), invalid.input_index DESC
ON CONFLICT (channel, address) DO UPDATE SET
    status = excluded.status, reason = excluded.reason,
    changed_by = excluded.changed_by, changed_at = excluded.changed_at
WHERE recipients.status <> 'opted_out'
