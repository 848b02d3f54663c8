-- Of one that was deleted only its messages' numbers were used, never its own as a name.
SELECT coalesce(max(number), 0) + 1 FROM broadcasts
