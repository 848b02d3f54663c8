DELETE FROM attempts WHERE delivery BETWEEN ?1 AND ?2
