"""The questions the tool asks its SQLite file: one noun per file, and all the SQL there is."""
