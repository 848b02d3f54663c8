-- Allocates one number per message. Runs after the shared lock on message numbers is taken: otherwise the report could
-- skip a number that is committed late.
SELECT nextval('message_numbers') AS number FROM generate_series(1, $1)
