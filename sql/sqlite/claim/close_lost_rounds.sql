-- Ends the rounds of a settled delivery that were never recorded, with a round that nothing sent.
UPDATE deliveries SET due_at = NULL, round = ?2, recorded = ?2, rollup_pending = (id <= ?3) WHERE id = ?1
