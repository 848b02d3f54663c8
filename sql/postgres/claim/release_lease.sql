-- Releases the leases of claimed deliveries that turned out not to be waiting or due. A lease that existed before the
-- claim stays, because its rounds are counted in it.
DELETE FROM leases WHERE id = ANY ($1) AND claims = 1
