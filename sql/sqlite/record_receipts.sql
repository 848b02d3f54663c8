-- Receipts that came before the send was recorded.
SELECT verdict, reason, at, heard_at FROM receipts
WHERE reference = ?1 AND provider IN ('', ?2)
ORDER BY at, heard_at
