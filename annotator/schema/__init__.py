"""The tables, as migrations: one file per change, never edited after release."""

from sqlite_utils import Migrations

from annotator.schema import (
    m001_start,
    m002_rounds_given_up,
    m003_people,
    m004_classes,
    m005_review,
    m006_overlap,
    m007_suggestions,
    m008_refresh,
)

migrations = Migrations("annotator")

for module in (
    m001_start,
    m002_rounds_given_up,
    m003_people,
    m004_classes,
    m005_review,
    m006_overlap,
    m007_suggestions,
    m008_refresh,
):
    migrations(name=module.__name__.rpartition(".")[2])(module.apply)
