"""PAGES: one file = one page = one blueprint. What every page shares stands in `shared`."""

from importlib import import_module
from typing import NamedTuple

from flask import Flask

from annotator.pages import shared


class Page(NamedTuple):
    """One entry of the menu; title None keeps it out of it."""

    module: str
    endpoint: str
    title: str | None


PAGES = {
    "label": Page("annotator.pages.label", "label.page", "Label"),
    "review": Page("annotator.pages.review", "review.page", "Review"),
    "progress": Page("annotator.pages.progress", "progress.page", "Progress"),
    "classes": Page("annotator.pages.classes", "classes.page", "Classes"),
    "export": Page("annotator.pages.export", "export.page", "Export"),
    "settings": Page("annotator.pages.settings", "settings.page", "Settings"),
    "files": Page("annotator.pages.files", "files.page", "Files"),
    "people": Page("annotator.pages.people", "people.page", "People"),
    "account": Page("annotator.pages.account", "account.page", None),
    "image": Page("annotator.pages.image", "image.show", None),
}


def init_app(app: Flask) -> None:
    """Register every page, the menu and the error pages."""
    shared.init_app(app, [(page.endpoint, page.title) for page in PAGES.values() if page.title])
    for page in PAGES.values():
        app.register_blueprint(import_module(page.module).blueprint)
