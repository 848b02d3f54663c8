-- Reads the rollups of one metric, summed over their origins.
SELECT group_name, entry, sum(count)::BIGINT AS count FROM rollups
WHERE metric = $1 AND group_name >= $2
GROUP BY group_name, entry
HAVING sum(count) <> 0
ORDER BY group_name, entry
