"""How far people agree beyond chance: pure functions of what was counted. They know nothing of images or people.

Units: what was said of one image, as its classes in order, -> how many images it was said of. {(1, 1, 2): 5} are five
images of which two people said 1 and one person 2. A measure is None where it is not defined: there is nothing to
compare, or only one class was ever said, so that agreement by chance is certain.
"""

from collections import Counter
from collections.abc import Mapping

Units = Mapping[tuple[int, ...], int]
RELIABLE, TENTATIVE = 0.8, 2 / 3  # Krippendorff 2004, p. 241


def cohen(said: Mapping[tuple[int, int], int]) -> float | None:
    """Kappa of two people from their confusion counts, at most 1; 0: as by chance. Cohen 1960."""
    total = sum(said.values())
    rows, columns, same = Counter[int](), Counter[int](), 0
    for (one, other), count in said.items():
        rows[one] += count
        columns[other] += count
        same += count * (one == other)
    return _beyond_chance(same * total, sum(rows[each] * columns[each] for each in rows), total**2)


def _beyond_chance(observed: int, expected: int, total: int) -> float | None:
    """(observed - expected) / (total - expected), of whole numbers: no rounding makes 1 out of nearly 1."""
    return None if total == expected else (observed - expected) / (total - expected)


def fleiss(units: Units) -> float | None:
    """Kappa of any people, where every image has the same number of labels, at least two. Fleiss 1971.

    Raises ValueError for images with different numbers of labels; see `of_one_size`.
    """
    sizes = {len(unit) for unit in units}
    if not sizes:
        return None
    if len(sizes) > 1 or min(sizes) < 2:
        raise ValueError(f"every image needs the same number of labels, at least two; here are {sorted(sizes)}")
    (size,) = sizes
    images = sum(units.values())
    agreeing = sum(_agreeing(unit) * count for unit, count in units.items())
    chance = sum(count**2 for count in _classes(units).values())  # of (images * size)^2
    observed = agreeing / (images * size * (size - 1))
    expected = chance / (images * size) ** 2
    return None if chance == (images * size) ** 2 else (observed - expected) / (1 - expected)


def _agreeing(unit: tuple[int, ...]) -> int:
    """Ordered pairs of two people who said the same."""
    return sum(count * (count - 1) for count in Counter(unit).values())


def _classes(units: Units) -> Counter[int]:
    """Class -> how often it was said."""
    found = Counter[int]()
    for unit, count in units.items():
        for each in unit:
            found[each] += count
    return found


def of_one_size(units: Units) -> Units:
    """Those with the number of labels that most images have; of two as frequent, the larger one."""
    sizes = Counter[int]()
    for unit, count in units.items():
        sizes[len(unit)] += count
    most = max(sizes, key=lambda size: (sizes[size], size), default=0)
    return {unit: count for unit, count in units.items() if len(unit) == most}


def alpha(units: Units) -> float | None:
    """Krippendorff's alpha of nominal data, at most 1; images may have any number of labels. Krippendorff 2011.

    Those with less than two are left out, as nothing can be compared with them.
    """
    units = {unit: count for unit, count in units.items() if len(unit) > 1}
    classes = _classes(units)
    total = classes.total()
    apart = total * (total - 1) - sum(count * (count - 1) for count in classes.values())
    if not apart:
        return None
    differing = sum(
        count * (len(unit) * (len(unit) - 1) - _agreeing(unit)) / (len(unit) - 1) for unit, count in units.items()
    )
    return 1 - differing * (total - 1) / apart


def images(units: Units) -> int:
    """How many images have labels of at least two people."""
    return sum(count for unit, count in units.items() if len(unit) > 1)


def meaning(value: float | None, images: int) -> str:
    """What an alpha of so many images says, in plain words."""
    if not images:
        return "no image has labels of two people yet"
    if value is None:
        return "everybody always said the same class, so chance alone explains it"
    if value >= RELIABLE:
        return "people mean the same by the classes"
    if value >= TENTATIVE:
        return "people mostly mean the same; look at the conflicts before you rely on the labels"
    if value > 0:
        return "people do not mean the same by the classes: write down what each one is, then look at the conflicts"
    return "people agree no more than by chance"
