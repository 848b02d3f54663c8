-- The last message that can have been accepted in this hour or earlier; null when there is none.
SELECT max(last_number) FROM hours WHERE hour <= ?1
