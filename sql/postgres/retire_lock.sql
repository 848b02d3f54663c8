-- Behind the lock of accept. {place} is a number.
LOCK TABLE ONLY messages, ONLY deliveries, ONLY attempts, messages_{place}, deliveries_{place}, attempts_{place}
    IN ACCESS EXCLUSIVE MODE
