"""Tensors: trains models from few labels, scores the pool, chooses what to ask.

Knows nothing of Flask, click, SQLite, people or the instance folder.
"""

import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # the hub behind timm's weights reads it when it is imported
