-- Selects receipts that arrived before their send was recorded. An empty provider matches any provider. IN and ORDER BY
-- are not used, because SQLite would build a temporary table for every record, although a receipt is rarely found.
SELECT status, reason, at, received_at FROM unmatched_receipts
WHERE reference = ?1 AND coalesce(nullif(provider, ''), ?2) = ?2
