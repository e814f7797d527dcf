"""Images a second through frozen backbones, and from the cache; what float16 costs.

    python benchmarks/embeddings.py [--images 256] [--backbone NAME ...] [--data FILE.npz]

Made images, random weights: speed does not depend on them. With --data (x_train, y_train, x_test, y_test) the kNN
accuracy of float32 rows stands beside that of the kept float16 rows: pretrained weights of the first backbone, 96 px.
Writes results/embeddings-cpu.json or -cuda.json.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from machine import save

from learner.data import ImageSet
from learner.device import pick_device
from learner.features import extract, extractor, parse

SIZES = (32, 96, 224)


def made(number: int, folder: Path) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (number, 32, 32, 3), dtype=np.uint8)
    ids = np.arange(number)
    return ImageSet(ids, pixels, ids, cache=folder)


def speed(name: str, size: int, number: int) -> dict[str, Any]:
    """Images a second when they are computed, and when they are read again."""
    features = parse(f"timm:{name}@{size}", weights="random")
    with tempfile.TemporaryDirectory() as folder:
        fitted = extractor(made(1, Path(folder)), features)
        extract(fitted, made(fitted.batch, Path(folder) / "warm"))
        rates = []
        for _ in range(2):
            start = time.perf_counter()
            extract(fitted, made(number, Path(folder)))
            rates.append(number / (time.perf_counter() - start))
    return {"name": name, "size": size, "batch": fitted.batch, "width": fitted.width, "computed": rates[0],
            "kept": rates[1], "ratio": rates[1] / rates[0]}  # fmt: skip


def neighbours(name: str, data: Path, number: int) -> dict[str, float]:
    """kNN accuracy (k = 10) of float32 and of float16 rows."""
    from sklearn.neighbors import KNeighborsClassifier

    with np.load(data) as found:
        parts = [found[key][: number if "train" in key else number // 4] for key in
                 ("x_train", "y_train", "x_test", "y_test")]  # fmt: skip
    train, test = ImageSet.of(parts[0]), ImageSet.of(parts[2])
    fitted = extractor(train, parse(f"timm:{name}@96"))
    exact = [np.concatenate([fitted(part.take(ids)) for ids in np.array_split(part.ids, 1 + len(part) // 64)])
             for part in (train, test)]  # fmt: skip
    kept = [extract(fitted, part) for part in (train, test)]
    scores = [KNeighborsClassifier(10).fit(x, parts[1]).score(y, parts[3]) for x, y in (exact, kept)]
    return {"images": number, "float32": float(scores[0]), "float16": float(scores[1])}


@click.command()
@click.option("--images", default=256, show_default=True)
@click.option("--backbone", "names", multiple=True, default=["tf_efficientnet_lite0", "vit_small_patch16_224"])
@click.option("--data", type=click.Path(exists=True, path_type=Path))
def main(images: int, names: tuple[str, ...], data: Path | None) -> None:
    rows = [speed(name, size, images) for name in names for size in SIZES]
    print("| backbone | px | batch | computed, images / s | kept, images / s |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['name']} | {row['size']} | {row['batch']} | {row['computed']:.0f} | {row['kept']:,.0f} |")
    knn = neighbours(names[0], data, 2000) if data else {}
    print(knn)
    print(save(f"embeddings-{pick_device().type}", {"images": images, "rows": rows, "knn": knn}))


if __name__ == "__main__":
    main()
