DELETE FROM attempts WHERE delivery = ANY ($1)
