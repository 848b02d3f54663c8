-- A dead address does not come alive by a word, and a word older than what is known undoes nothing.
UPDATE recipients SET standing = 'active', reason = ?3, changed_by = ?4, changed_at = ?5
WHERE channel = ?1 AND address = ?2 AND standing = 'opted_out' AND changed_at <= ?5
