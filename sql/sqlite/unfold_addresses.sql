-- Without a condition SQLite drops the pages unread.
DELETE FROM addresses
