-- Deletes the counts of all addresses, for a rebuild.
DELETE FROM address_counts
