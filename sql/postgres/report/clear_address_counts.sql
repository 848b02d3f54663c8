DELETE FROM address_counts
