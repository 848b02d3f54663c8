-- Returns the last message that may have been accepted in this hour or earlier, or NULL when there is none.
SELECT max(last_number) AS last_number FROM message_hours WHERE hour <= ?1
