-- What is known once, as a number or as bytes.
SELECT name, number, bytes FROM meta
