"""Makes suggestions of rows: what a file says of images is shown to people, and is nobody's label."""

from annotator.importing.taking import Refused, Row, Taking
from annotator.store import imports, suggestions


class Suggesting(Taking):
    """One suggestion for each image; that of a newer file takes the place of an older one's."""

    def _settle(
        self,
        row: Row,
        answered: tuple[str, str, int | None] | None,
        by_files: dict[tuple[int, str], imports.FileLabel],
    ) -> None:
        """A file says one thing of an image; what is there already is not written again."""
        key = (row.image, "")
        before, line = self.seen.setdefault(key, (row.class_id, row.said.line))
        if before != row.class_id:
            raise Refused(f"line {line} suggests {self.names[before]!r:.60} for the same image")
        wanted = suggestions.Suggested(row.class_id, _confidence(row.said.confidence), self.wish.origin)
        if line != row.said.line or suggestions.read(self.db, [row.image]).get(row.image) == wanted:
            self.outcome.there += 1
            return
        self.outcome.added += 1
        if not self.wish.dry_run:
            suggestions.put(self.db, row.image, wanted)


def _confidence(text: str) -> float | None:
    """A share from 0 to 1, or None where the row has none."""
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise Refused(f"confidence {text!r:.40} is no number from 0 to 1")
    return value
