-- After a failed attempt the later callbacks of the delivery wait as long as the failed event. They would not be claimed
-- before it, and would be read in vain at every claim.
UPDATE events SET due_or_ended_at = ?3
WHERE delivery = ?1 AND sequence > ?2 AND state = 'waiting' AND due_or_ended_at < ?3
    AND substr(event_target, 1, 1) = '~'
