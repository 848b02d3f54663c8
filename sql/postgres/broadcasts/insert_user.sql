-- Inserts registered users.
INSERT INTO users (id, number, name, contacts, created_at)
SELECT * FROM unnest($1::TEXT[], $2::BIGINT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[])
