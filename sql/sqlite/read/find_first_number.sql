-- Returns the first message that may have been accepted in this hour or later, or NULL when there is none.
SELECT min(first_number) AS first_number FROM message_hours WHERE hour >= ?1
