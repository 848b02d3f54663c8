-- Takes the rows of these subjects, in the order given, and makes those that are missing: a row that is there is locked
-- though nothing in it changes. Whoever comes second waits for the first one's commit, and reads afterwards.
INSERT INTO user_throttles AS t (subject, times, expires_hour)
SELECT subject, ''::BYTEA, $2 FROM unnest($1::BYTEA[]) AS asked (subject)
ON CONFLICT (subject) DO UPDATE SET times = t.times WHERE FALSE
