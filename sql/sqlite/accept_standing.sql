-- Whether a recipient may be written to; no row means active.
SELECT standing <> 'active' FROM recipients WHERE channel = ?1 AND address = ?2
