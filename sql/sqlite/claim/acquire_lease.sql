-- Claims a delivery: starts the round and sets the lease.
UPDATE deliveries SET due_at = ?2, round = round + 1 WHERE id = ?1
