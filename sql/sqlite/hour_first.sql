-- The first message that can have been accepted in this hour or later; null when there is none.
SELECT min(first_number) FROM hours WHERE hour >= ?1
