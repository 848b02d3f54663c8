-- Selects the ten addresses with the most deliveries. Deliveries without an address are not ranked. These ten are among
-- the first ten of one of the two indexes: a pruned address has at most nine addresses before it in
-- `pruned_address_counts`, and an existing address is ranked in `address_counts` by its total.
SELECT address, max(count)::BIGINT AS count FROM (
    (SELECT address, count FROM address_counts WHERE address <> '' ORDER BY count DESC, address LIMIT 10)
    UNION ALL
    SELECT k.address, coalesce(a.count, k.count)
    FROM (
        SELECT address, count FROM pruned_address_counts WHERE address <> '' ORDER BY count DESC, address LIMIT 10
    ) AS k
    LEFT JOIN address_counts AS a ON a.address = k.address
) AS candidates
GROUP BY address
ORDER BY 2 DESC, address
LIMIT 10
