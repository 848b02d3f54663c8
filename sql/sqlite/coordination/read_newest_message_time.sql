-- Returns when the newest message was accepted: a time that the clock has shown already.
SELECT created_at FROM messages WHERE number = (SELECT max(number) FROM messages)
