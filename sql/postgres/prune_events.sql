-- What waits stays: somebody asked to hear of it.
DELETE FROM events WHERE (delivery, sequence) IN (
    SELECT delivery, sequence FROM events WHERE at < $1 AND state <> 'waiting' ORDER BY at LIMIT $2
)
