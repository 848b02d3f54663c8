DELETE FROM leases WHERE id = ANY ($1) AND claims = 0
