"""How settings are declared, read and checked: frozen dataclasses whose fields carry their help text.

The command line, the forms and the docs read them from there. Nothing here imports torch.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from learner.errors import BadSetting

T = TypeVar("T")


def setting(default: Any, help: str, *, low: float = 0, high: float = math.inf, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field with a help text; a number lies from `low` to `high`, a text is one of `choices`."""
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


def resolve(cls: type[T], *layers: Mapping[str, Any]) -> T:
    """The settings of `cls`, later layers winning: defaults < preset < project < command line.

    A preset is a named set of values that the class brings along.
    Raises BadSetting for a key that does not exist, a value of the wrong type, and one that is out of range.
    """
    hints = _hints(cls)  # type: ignore[arg-type]
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if key not in hints:
                raise BadSetting(f"unknown setting {key!r} for {cls.__name__}; it has {', '.join(hints) or 'none'}")
            merged[key] = _convert(cls, key, hints[key], value)
            _check(cls, key, merged[key])
    preset = getattr(cls, "presets", {}).get(merged.get("preset"), {})
    return cls(**{**preset, **merged})


@cache  # a study of 12,000 cells resolves 48,000 settings
def _hints(cls: type) -> dict[str, Any]:
    """Name -> type of each field."""
    every = get_type_hints(cls)
    return {item.name: every[item.name] for item in dataclasses.fields(cls)}


def _check(cls: type, key: str, value: Any) -> None:
    """BadSetting for a number out of range, NaN included, and for a text that is no choice."""
    limits = cls.__dataclass_fields__[key].metadata  # type: ignore[attr-defined]
    if limits["choices"] and value not in limits["choices"]:
        raise BadSetting(f"setting {key!r} of {cls.__name__} is {value!r}; choose from {', '.join(limits['choices'])}")
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int | float) and not limits["low"] <= number <= limits["high"]:
            raise BadSetting(
                f"setting {key!r} of {cls.__name__} is {number!r}; it lies from {limits['low']} to {limits['high']}"
            )


def _convert(cls: type, key: str, hint: Any, value: Any) -> Any:
    """`value` as the type `hint`, from JSON or from text; BadSetting when it cannot be."""
    allowed = get_args(hint) if get_origin(hint) in (Union, type(int | None)) else (hint,)
    if value is None and type(None) in allowed:
        return None
    base = next(t for t in allowed if t is not type(None))
    try:
        if get_origin(base) is tuple:
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(get_args(base)[0](part) for part in parts)
        if base is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[str(value).lower()]
        if base is int and isinstance(value, float) and not value.is_integer():
            raise ValueError
        return base(value)
    except (ValueError, KeyError, TypeError):
        kind = getattr(base, "__name__", str(base))
        raise BadSetting(f"setting {key!r} of {cls.__name__} is {value!r}; it must be of type {kind}") from None


def as_dict(settings: Any) -> dict[str, Any]:
    """Settings as plain JSON types."""
    return dataclasses.asdict(settings)


@dataclass(frozen=True)
class NoSettings:
    """For rows that have nothing to set."""


@dataclass(frozen=True)
class Choice:
    """A name out of a registry with its settings: a method, a strategy."""

    name: str
    settings: Any = NoSettings()
