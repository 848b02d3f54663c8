-- Returns the number of the message with an id.
SELECT number FROM messages WHERE id = $1
