"""One history for all tables of the database."""
