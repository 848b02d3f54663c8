-- The attempts of an overtaken round count as well. It answers what was recorded last; what does not come back does
-- not exist any more.
UPDATE deliveries SET recount = TRUE WHERE id = ANY ($1) RETURNING id, recorded, tries, provider, reference
