-- Returns a lower bound for the numbers of the messages of this hour and later hours, or NULL if there are no such
-- messages.
SELECT min(first_number) AS first_number FROM message_hours WHERE hour >= $1
