-- Without WHERE, SQLite frees the pages without reading them.
DELETE FROM address_counts
