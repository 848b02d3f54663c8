SELECT line, entry, sum(count)::BIGINT FROM tallies
WHERE ledger = $1 AND line >= $2
GROUP BY line, entry
HAVING sum(count) <> 0
ORDER BY line, entry
