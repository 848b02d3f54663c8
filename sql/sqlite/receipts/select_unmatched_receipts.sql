-- Selects receipts that arrived before their send was recorded. An empty provider matches any provider; a
-- receipt with a sender concerns only messages to it. Written without
-- IN and ORDER BY: SQLite would build a temporary table for every record, although there is hardly ever a receipt.
SELECT status, reason, at, received_at FROM unmatched_receipts
WHERE reference = ?1 AND coalesce(nullif(provider, ''), ?2) = ?2
    AND (sender = '' OR sender = coalesce(?4, (SELECT d.address FROM deliveries AS d WHERE d.id = ?3)))
