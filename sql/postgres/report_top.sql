-- A delivery without an address counts for nobody.
-- Whoever is among the ten is among the first ten of an index here: whoever was pruned has only ten before it
-- there, and whoever still exists stands in the other with all that was ever counted.
SELECT address, max(count)::BIGINT FROM (
    (SELECT address, count FROM addresses WHERE address <> '' ORDER BY count DESC, address LIMIT 10)
    UNION ALL
    SELECT k.address, coalesce(a.count, k.count)
    FROM (SELECT address, count FROM addresses_kept WHERE address <> '' ORDER BY count DESC, address LIMIT 10) AS k
    LEFT JOIN addresses AS a ON a.address = k.address
) AS best
GROUP BY address
ORDER BY 2 DESC, address
LIMIT 10
