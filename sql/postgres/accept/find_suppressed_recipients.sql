-- Returns those of the recipients that are not active. A recipient without a row is active.
SELECT r.channel, r.address, r.status
FROM unnest($1::TEXT[], $2::TEXT[]) AS requested (channel, address)
JOIN recipients AS r ON r.channel = requested.channel AND r.address = requested.address
WHERE r.status <> 'active'
