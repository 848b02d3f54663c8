-- Which of these recipients must not be written to; no row means active.
SELECT r.channel, r.address
FROM unnest($1::TEXT[], $2::TEXT[]) AS asked (channel, address)
JOIN recipients AS r ON r.channel = asked.channel AND r.address = asked.address
WHERE r.standing <> 'active'
