DELETE FROM receipts WHERE reference = ?1 AND provider IN ('', ?2)
