-- Deletes old events that are not waiting. Waiting events stay, because a client asked for them.
DELETE FROM events WHERE (delivery, sequence) IN (
    SELECT delivery, sequence FROM events WHERE at < $1 AND state <> 'waiting' ORDER BY at LIMIT $2
)
