-- Inserts the users of a broadcast that does not go to all users.
INSERT INTO broadcast_users (broadcast, user_number)
SELECT $1, number FROM unnest($2::BIGINT[]) AS listed (number)
