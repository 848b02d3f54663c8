-- Lists the numbers of the messages of a user in a time, newest first.
SELECT number FROM messages
WHERE "user" = $6 AND number >= $1 AND number < $2 AND created_at >= $3 AND created_at < $4
    AND ($7 IS NULL OR owner = $7)
ORDER BY number DESC
LIMIT $5
