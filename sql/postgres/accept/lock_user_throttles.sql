-- Locks the user throttles with these subjects in the given order, and inserts the missing rows. DO UPDATE with WHERE
-- FALSE locks an existing row without writing it. A second transaction waits for the commit of the first and reads the
-- rows afterwards.
INSERT INTO user_throttles AS t (subject, times, expires_hour)
SELECT subject, ''::BYTEA, $2 FROM unnest($1::BYTEA[]) AS requested (subject)
ON CONFLICT (subject) DO UPDATE SET times = t.times WHERE FALSE
