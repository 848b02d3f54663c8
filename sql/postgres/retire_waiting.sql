-- Whether anything waits in a month.
SELECT EXISTS (SELECT 1 FROM deliveries WHERE state = 'waiting' AND id >= $1 AND id < $2)
