-- Whoever sees the row here has won it: the transaction is the only one that writes, and claim_mark follows in it.
-- It answers how many of the rounds so far were never recorded.
-- Not UPDATE … RETURNING, for which SQLite builds a table in memory each time; that cost more than all the rest.
SELECT
    d.channel, d.address, d.spelling, d.parts, d.round + 1, d.tries, d.round - d.recorded, d.avoid, d.priority,
    d.expires_at, m.id, m.body, d.contacts, m.subject, m.watch
FROM deliveries AS d NOT INDEXED
CROSS JOIN messages AS m ON m.number = d.id >> 6
WHERE d.id = ?1 AND d.state = 'waiting' AND d.due_at <= ?2
