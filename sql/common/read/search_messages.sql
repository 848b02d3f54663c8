-- Searches messages by time, newest first.
SELECT number FROM messages
WHERE number >= $1 AND number < $2 AND ($3 IS NULL OR created_at >= $3)
    AND ($4 IS NULL OR owner = $4)
ORDER BY number DESC
LIMIT $5
