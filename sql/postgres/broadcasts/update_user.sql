-- Updates the name and the contacts of users.
UPDATE users AS u SET name = c.name, contacts = c.contacts
FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS c (id, name, contacts)
WHERE u.id = c.id
