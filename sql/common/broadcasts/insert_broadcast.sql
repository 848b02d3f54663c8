-- Inserts a broadcast.
INSERT INTO broadcasts (number, id, body, channel, caller, created_at, to_all, last_user, users, is_fanned_out, owner)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
