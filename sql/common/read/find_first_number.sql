-- Returns a message number that is not above any message of this hour or later, or NULL when there is none.
SELECT min(first_number) AS first_number FROM message_hours WHERE hour >= $1
