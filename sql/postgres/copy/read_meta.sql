-- Reads the values of `meta`, each as a number or as bytes.
SELECT name, number, bytes FROM meta
