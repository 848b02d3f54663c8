SELECT generation, as_of, content FROM snapshots ORDER BY generation DESC LIMIT 1
