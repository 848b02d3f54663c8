-- Lists the numbers of the messages of a time range, newest first.
SELECT number FROM messages
WHERE number >= $1 AND number < $2 AND created_at >= $3 AND created_at < $4
    AND ($5 IS NULL OR owner = $5)
ORDER BY number DESC
LIMIT $6
