-- Adds the results of one fan-out step to the counts of a broadcast.
UPDATE broadcasts SET messages = messages + $2, refused = refused + $3 WHERE number = $1
