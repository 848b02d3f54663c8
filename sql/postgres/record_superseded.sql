-- The attempts of an overtaken round count as well.
UPDATE deliveries SET recount = TRUE WHERE id = ANY ($1)
