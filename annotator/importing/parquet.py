"""Labels out of a Parquet file with a column of paths and one of classes. Needs pyarrow (the extra `parquet`)."""

from collections.abc import Iterator
from pathlib import Path

from annotator.errors import AnnotatorError
from annotator.importing.rows import Asked, Said, text

BATCH = 1000  # rows in memory


def read(path: Path, asked: Asked) -> Iterator[Said]:
    """A row at a time, of the columns that count alone; the line is the row's number.

    Raises AnnotatorError without pyarrow, for what is no Parquet file, and without the columns that are needed.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise AnnotatorError("reading Parquet needs pyarrow: pip install 'annotator[parquet]'") from None
    try:
        with ParquetFile(path) as file:
            columns = asked.columns(file.schema_arrow.names, path.name)
            line = 0
            for batch in file.iter_batches(BATCH, columns=[name for name in columns if name]):
                for row in batch.to_pylist():
                    line += 1
                    yield _said(line, [(name, row.get(name)) for name in columns])
    except ArrowException as error:
        said = str(error).partition("\n")[0]
        raise AnnotatorError(f"{path.name} is not a Parquet file that can be read: {said:.100}") from None


def _said(line: int, values: list[tuple[str, object]]) -> Said:
    try:
        path, class_name, person, sha256, confidence = (text(value, name) for name, value in values)
    except AnnotatorError as error:
        return Said(line, problem=str(error))
    return Said(line, path, class_name, sha256, person, confidence=confidence)
