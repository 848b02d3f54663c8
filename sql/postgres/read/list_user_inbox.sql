-- Lists the numbers of the messages of a user that were sent or delivered, newest first.
SELECT m.number FROM messages AS m
WHERE m."user" = $1 AND m.number < $2 AND ($4 IS NULL OR m.owner = $4) AND EXISTS (
    SELECT 1 FROM deliveries AS d
    WHERE d.id >= m.number * 64 AND d.id < (m.number + 1) * 64 AND d.state IN ('sent', 'delivered')
)
ORDER BY m.number DESC
LIMIT $3
