-- When users were last sent what expects an answer: one small row for each user and scope, so that a limit is one row
-- read and one written, however high it is. Rows whose hour has come count nothing any more; the hour, not the
-- millisecond, so that the index changes seldom and a row is rewritten on its own page.
CREATE TABLE user_throttles (
    subject      BYTEA PRIMARY KEY CHECK (length(subject) = 32),
    times        BYTEA NOT NULL,
    expires_hour BIGINT NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX user_throttles_expires_hour ON user_throttles (expires_hour);
