-- Returns those of the recipients that are not active. A recipient without a row is active.
SELECT r.channel, r.address
FROM unnest($1::TEXT[], $2::TEXT[]) AS asked (channel, address)
JOIN recipients AS r ON r.channel = asked.channel AND r.address = asked.address
WHERE r.status <> 'active'
