-- An operator's last word on a provider: it holds for every process that shares this store.
CREATE TABLE orders (
    provider TEXT PRIMARY KEY,
    word     TEXT NOT NULL CHECK (word IN ('rest', 'wake')),
    told_by  TEXT NOT NULL,
    told_at  BIGINT NOT NULL
);
