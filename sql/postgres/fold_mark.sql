-- Held to the end of the transaction, so that one host counts at a time.
SELECT number FROM meta WHERE name = 'folded' FOR UPDATE
