-- The line above a message; the addresses of a person on a channel that mixes kinds (a line for each: kind, address and
-- spelling between tabs), and which of them a call used. NULL where there is one address only, as almost everywhere.

ALTER TABLE messages ADD COLUMN subject TEXT;
ALTER TABLE deliveries ADD COLUMN contacts TEXT;
ALTER TABLE attempts ADD COLUMN address TEXT;
