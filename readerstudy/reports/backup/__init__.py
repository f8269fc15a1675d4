"""The whole installation in one archive: database, storage, and a check of both."""
