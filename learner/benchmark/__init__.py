"""Rows of many runs: summaries and figures."""
