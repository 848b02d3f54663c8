-- Receipts that came before the send was recorded. An empty provider stands for any. Neither
-- IN nor ORDER BY: SQLite would build a table in memory with every record, although there is hardly ever a receipt.
SELECT verdict, reason, at, heard_at FROM receipts
WHERE reference = ?1 AND coalesce(nullif(provider, ''), ?2) = ?2
