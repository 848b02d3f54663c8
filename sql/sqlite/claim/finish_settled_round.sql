-- Ends a round during which a receipt for an earlier copy settled the delivery: the worker does not hold it any more.
UPDATE deliveries SET due_at = NULL, recorded = round, tries = ?2, rollup_pending = (id <= ?3) WHERE id = ?1
