-- A delivery without an address counts for nobody.
-- Whoever is among the ten is among the first ten of an index here: whoever was pruned has only ten before it
-- there, and whoever still exists stands in the other with all that was ever counted. Where fewer than ten were
-- written to twice, the rest are among the first twenty by address.
SELECT address, max(count) FROM (
    SELECT address, count FROM (
        SELECT address, count FROM addresses INDEXED BY addresses_count
        WHERE count > 1 AND address <> '' ORDER BY count DESC, address LIMIT 10
    )
    UNION ALL
    SELECT address, count FROM (SELECT address, count FROM addresses WHERE address <> '' ORDER BY address LIMIT 20)
    UNION ALL
    SELECT k.address, coalesce(a.count, k.count)
    FROM (
        SELECT address, count FROM (
            SELECT address, count FROM addresses_kept INDEXED BY addresses_kept_count
            WHERE count > 1 AND address <> '' ORDER BY count DESC, address LIMIT 10
        )
        UNION ALL
        SELECT address, count FROM (SELECT address, count FROM addresses_kept WHERE address <> '' ORDER BY address LIMIT 20)
    ) AS k
    LEFT JOIN addresses AS a ON a.address = k.address
)
GROUP BY address
ORDER BY 2 DESC, address
LIMIT 10
