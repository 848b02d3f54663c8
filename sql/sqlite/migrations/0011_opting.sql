-- Texts that people stopped and started us with, by the provider's number: brought a second time, they change nothing.
CREATE TABLE opting_texts (
    provider  TEXT NOT NULL,
    reference TEXT NOT NULL,
    channel   TEXT NOT NULL,
    address   TEXT NOT NULL,
    heard_at  INTEGER NOT NULL,
    PRIMARY KEY (provider, reference, channel, address)
) STRICT, WITHOUT ROWID;

CREATE INDEX opting_texts_heard_at ON opting_texts (heard_at);
