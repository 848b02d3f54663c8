-- Selects receipts that arrived before their send was recorded. An empty provider matches any provider. Written without
-- IN and ORDER BY: SQLite would build a temporary table for every record, although there is hardly ever a receipt.
SELECT status, reason, at, received_at FROM unmatched_receipts
WHERE reference = ?1 AND coalesce(nullif(provider, ''), ?2) = ?2
