-- Reads the values of `meta`, each as a number or as bytes.
SELECT
    name,
    CASE WHEN typeof(value) = 'integer' THEN value END,
    CASE WHEN typeof(value) <> 'integer' THEN CAST(value AS BLOB) END
FROM meta
