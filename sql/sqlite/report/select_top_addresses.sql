-- Deliveries without an address are not ranked. The ten addresses with the most deliveries are among the first ten of
-- one of the two indexes: a pruned address has at most nine addresses before it in `pruned_address_counts`, and an
-- existing address is ranked in `address_counts` by its total. The indexes contain only addresses with more than one
-- delivery. If there are fewer than ten of those, the rest are among the first twenty addresses in alphabetical order.
SELECT address, max(count) AS count FROM (
    SELECT address, count FROM (
        SELECT address, count FROM address_counts INDEXED BY address_counts_count
        WHERE count > 1 AND address <> '' ORDER BY count DESC, address LIMIT 10
    )
    UNION ALL
    SELECT address, count FROM (SELECT address, count FROM address_counts WHERE address <> '' ORDER BY address LIMIT 20)
    UNION ALL
    SELECT k.address, coalesce(a.count, k.count)
    FROM (
        SELECT address, count FROM (
            SELECT address, count FROM pruned_address_counts INDEXED BY pruned_address_counts_count
            WHERE count > 1 AND address <> '' ORDER BY count DESC, address LIMIT 10
        )
        UNION ALL
        SELECT address, count FROM (
            SELECT address, count FROM pruned_address_counts WHERE address <> '' ORDER BY address LIMIT 20
        )
    ) AS k
    LEFT JOIN address_counts AS a ON a.address = k.address
)
GROUP BY address
ORDER BY 2 DESC, address
LIMIT 10
