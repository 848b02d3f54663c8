-- Returns whether the recipient is not active. A recipient without a row is active.
SELECT status <> 'active' AS is_suppressed FROM recipients WHERE channel = ?1 AND address = ?2
