-- Deletes old broadcasts.
DELETE FROM broadcasts WHERE number = ANY ($1)
