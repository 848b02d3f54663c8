DELETE FROM addresses
