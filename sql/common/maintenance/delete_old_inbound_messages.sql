-- Deletes old inbound messages. Ids begin with the time of arrival.
DELETE FROM inbound_messages WHERE id IN (
    SELECT id FROM inbound_messages WHERE id < $1 ORDER BY id LIMIT $2
)
