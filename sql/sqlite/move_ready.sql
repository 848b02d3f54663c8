-- Nothing is ever half taken away here.
SELECT 0
