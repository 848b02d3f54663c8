DELETE FROM unmatched_receipts WHERE reference = ?1 AND coalesce(nullif(provider, ''), ?2) = ?2
