"""Open a database: URL, storage, outages."""
