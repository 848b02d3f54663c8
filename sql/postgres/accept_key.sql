-- What keys brought before. An outdated key is as good as none, though it may still lie here until the prune.
SELECT key, request, number, message FROM keys WHERE key = ANY ($1) AND expires_at > $2
