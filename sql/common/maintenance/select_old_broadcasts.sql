-- Selects old broadcasts whose fan-out is complete and whose messages were all pruned.
SELECT b.number FROM broadcasts AS b
WHERE b.created_at < $1 AND b.is_fanned_out = 1 AND NOT EXISTS (
    SELECT 1 FROM broadcast_messages AS r
    JOIN messages AS m ON m.number >= r.first_number AND m.number <= r.last_number
    WHERE r.broadcast = b.number
)
ORDER BY b.number
LIMIT $2
