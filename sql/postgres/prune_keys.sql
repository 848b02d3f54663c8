-- Rows that are in use are left for the next time.
DELETE FROM keys WHERE key IN (
    SELECT key FROM keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
