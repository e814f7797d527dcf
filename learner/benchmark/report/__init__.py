"""The report of a run: one HTML page that needs nothing else, and the same as Markdown, CSV, PNG and SVG.

What is compared stands in `tables`, what it looks like in `figures`, and how it is put together in `page`.
"""
