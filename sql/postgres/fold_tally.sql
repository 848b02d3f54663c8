INSERT INTO tallies (ledger, line, entry, origin, count)
SELECT ledger, line, entry, $5, count
FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BIGINT[]) AS sum (ledger, line, entry, count)
ON CONFLICT (ledger, line, entry, origin) DO UPDATE SET count = tallies.count + excluded.count
