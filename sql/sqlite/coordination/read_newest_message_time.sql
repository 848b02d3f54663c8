-- Returns when the newest message was accepted: a time that the clock has shown already.
SELECT created_at FROM messages ORDER BY number DESC LIMIT 1
