-- How far each table was copied: the last key, as JSON; no key: all of it.
CREATE TABLE move_bookmarks (
    place TEXT PRIMARY KEY,
    key   TEXT
)
