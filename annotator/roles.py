"""What people may be. Each may do what those before it may; `access` says what."""

ROLES = ("annotator", "reviewer", "administrator")
