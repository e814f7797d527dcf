"""People, pages, labels."""
