-- Returns whether any delivery of the partition is waiting.
SELECT EXISTS (SELECT 1 FROM deliveries WHERE state = 'waiting' AND id >= $1 AND id < $2) AS has_waiting
