ALTER TABLE messages DETACH PARTITION messages_{place};
ALTER TABLE deliveries DETACH PARTITION deliveries_{place};
ALTER TABLE attempts DETACH PARTITION attempts_{place};
UPDATE months SET retired = TRUE WHERE place = {place};
