-- The attempts of an overtaken round count as well.
UPDATE deliveries SET recount = (id <= ?2) WHERE id = ?1
