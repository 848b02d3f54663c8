-- Returns the status of a recipient that is not active. A recipient without a row is active.
SELECT status FROM recipients WHERE channel = ?1 AND address = ?2 AND status <> 'active'
