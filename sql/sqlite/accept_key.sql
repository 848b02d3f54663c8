-- What a key brought before. An outdated key is as good as none, though it may still lie here until the prune.
SELECT request, number, message FROM keys WHERE key = ?1 AND expires_at > ?2
