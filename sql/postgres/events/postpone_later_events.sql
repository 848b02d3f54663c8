-- After a failed attempt the later callbacks of the delivery wait as long as the failed event. They would not be claimed
-- before it, and would be read in vain at every claim.
UPDATE events AS e SET due_or_ended_at = r.due_or_ended_at
FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS r (delivery, sequence, due_or_ended_at)
WHERE e.delivery = r.delivery AND e.sequence > r.sequence AND e.state = 'waiting'
    AND e.due_or_ended_at < r.due_or_ended_at AND left(e.event_target, 1) = '~'
