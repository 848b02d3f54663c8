-- A number that no message of this hour or later is below; null when there is none.
SELECT min(first_number) FROM hours WHERE hour >= $1
