-- Leases of what is not due or does not wait. One that was there before stays: its rounds are counted in it.
DELETE FROM leases WHERE id = ANY ($1) AND claims = 1
