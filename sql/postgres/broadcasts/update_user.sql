-- Updates the name and the contacts of users.
UPDATE users AS u SET name = c.name, contacts = c.contacts
FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[]) AS c (number, name, contacts)
WHERE u.number = c.number
