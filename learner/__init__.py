"""Tensors: trains models from few labels, scores the pool, chooses what to ask.

Knows nothing of Flask, click, SQLite, people or the instance folder.
"""
