-- Whether anything was ever said of anybody.
SELECT EXISTS (SELECT 1 FROM recipients)
