-- Searches messages by time, newest first.
SELECT number FROM messages
WHERE number >= $1 AND number < $2 AND ($3 IS NULL OR created_at >= $3)
ORDER BY number DESC
LIMIT $4
