SELECT provider, word, told_by, told_at FROM orders
