-- Months that are being taken away: their rows are no part of the tables any more, and not all counted yet.
SELECT count(*) FROM months WHERE retired
