-- Returns the number of the next broadcast. The number of a deleted broadcast may be used again: clients only know its
-- id.
SELECT coalesce(max(number), 0) + 1 AS number FROM broadcasts
