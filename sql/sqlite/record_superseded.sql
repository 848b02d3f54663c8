-- The attempts of an overtaken round count as well. No row: there is no such delivery any more.
UPDATE deliveries SET recount = (id <= ?2) WHERE id = ?1
