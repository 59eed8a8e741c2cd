"""One SQLAlchemy Core schema and one implementation of the stores for every SQL database."""
