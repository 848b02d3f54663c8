-- Adds changes to the rollups of one origin.
INSERT INTO rollups (metric, group_name, entry, origin, count)
SELECT metric, group_name, entry, $5, count
FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BIGINT[]) AS sum (metric, group_name, entry, count)
ON CONFLICT (metric, group_name, entry, origin) DO UPDATE SET count = rollups.count + excluded.count
