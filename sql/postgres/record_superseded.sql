-- The attempts of an overtaken round count as well. What does not come back does not exist any more.
UPDATE deliveries SET recount = TRUE WHERE id = ANY ($1) RETURNING id
