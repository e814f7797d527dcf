"""What a file suggests, on the label page: with its file's name, taken with Enter, and stored without a model."""

from pathlib import Path

from browsing import Labeler, Server, read
from click.testing import CliRunner
from playwright.sync_api import BrowserContext

from annotator.cli import main


def test_enter_takes_what_a_file_suggests(context: BrowserContext, photos: Path, instance: Path) -> None:
    guesses = instance.parent / "guesses.csv"
    rows = [f"{path.name},dog,0.93" for path in sorted(photos.iterdir())]
    guesses.write_text("\n".join(["path,class,confidence", *rows]))
    taken = CliRunner().invoke(main, ["import", str(guesses), "--as", "suggestions", "--instance", str(instance)])
    assert taken.exit_code == 0, taken.output
    with Server(photos, instance, "cat,dog", "--no-learner") as server:
        labeler = Labeler(context.new_page(), server.url, {}).open()
        assert "suggested: dog (0.93), from guesses.csv" in labeler.page.inner_text("#why")
        suggested = int(labeler.state("suggested"))
        assert labeler.state("model") == ""
        image = labeler.press("Enter")
        labeler.saved()
        labeler.page.close()
    sql = "SELECT class_id, suggested_id, suggestion_shown, model, via FROM labels WHERE image_id = ?"
    assert read(instance / "labels.db", sql, image) == [(suggested, suggested, 1, None, "accepted")]
