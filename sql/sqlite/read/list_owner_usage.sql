-- Repeats the condition of the partial index; otherwise SQLite does not use it.
SELECT number FROM messages INDEXED BY messages_owner
WHERE owner = ?5 AND owner <> '' AND number >= ?1 AND number < ?2 AND created_at >= ?3 AND created_at < ?4
ORDER BY number DESC
LIMIT ?6
