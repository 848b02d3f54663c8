-- Inserts registered users.
INSERT INTO users (id, owner, number, name, contacts, created_at)
SELECT * FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::BIGINT[])
