DROP TABLE messages_{place}, deliveries_{place}, attempts_{place};
DELETE FROM months WHERE place = {place};
