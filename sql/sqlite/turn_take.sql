-- A turn that has ended is free, and so is one that ends later than any can: a clock was wrong.
INSERT INTO turns (task, holder, began_at, ends_at, done)
VALUES (?1, ?2, ?3, ?4, 0)
ON CONFLICT (task) DO UPDATE SET
    holder = excluded.holder, began_at = excluded.began_at, ends_at = excluded.ends_at, done = 0
WHERE turns.ends_at <= ?3 OR turns.ends_at > ?5
