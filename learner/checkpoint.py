"""Trained classifiers as files: model.safetensors and model.json. Safe to load from anywhere: no pickle."""

import hashlib
import json
import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from learner.data import ByteArray
from learner.errors import LearnerError
from learner.models import MODELS
from learner.models.head import Net, as_input
from learner.predict import BATCH
from learner.registry import lookup

WEIGHTS, META = "model.safetensors", "model.json"
FORMAT = 1
_LONGEST = 100
_LARGEST = 10_000  # more than any number that builds a net; a file that says more is not ours


def save_net(folder: Path, net: Net, classes: list[str], image_size: tuple[int, int]) -> None:
    """A net of MODELS with what it takes to build it again and to name its answers."""
    if len(classes) != net.arguments["num_classes"]:
        raise LearnerError(f"the model has {net.arguments['num_classes']} classes, {len(classes)} are named")
    meta = {"kind": net.kind, "classes": classes, "image_size": list(image_size), "arguments": net.arguments}
    meta |= getattr(net, "about", {})
    save(folder, net.state_dict(), meta)


def save(folder: Path, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write both files; each appears whole or not at all, and model.json holds the hash of the weights.

    They are on the disk when this returns. Killed in between, it leaves a file whose name ends in .part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = safetensors.save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()})
    meta = {"format": FORMAT, **meta, "weights_sha256": hashlib.sha256(weights).hexdigest()}
    write(folder / WEIGHTS, weights)
    write(folder / META, json.dumps(meta, indent=2, ensure_ascii=False).encode())
    sync_folder(folder)


def write(path: Path, content: bytes) -> None:
    """A file that appears whole or not at all; on the disk before it has its name."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def sync_folder(folder: Path) -> None:
    """The names in a folder onto the disk: a file that was renamed is safe only then."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@dataclass(frozen=True, eq=False)
class Loaded:
    """A classifier out of files."""

    classes: list[str]
    image_size: tuple[int, int]  # (H, W) of the pixels it was trained on
    net: Any

    def predict(self, pixels: ByteArray) -> Tensor:
        """(N, H, W, 3) uint8 of `image_size` -> probabilities (N, C). LearnerError for other pixels."""
        if pixels.shape[1:] != (*self.image_size, 3) or pixels.dtype != "uint8":
            raise LearnerError(
                f"the model reads images of {self.image_size[0]} x {self.image_size[1]} x 3 uint8, "
                f"not {' x '.join(map(str, pixels.shape[1:]))} {pixels.dtype}"
            )
        with torch.inference_mode():
            batches = [torch.from_numpy(pixels[i : i + BATCH]) for i in range(0, len(pixels), BATCH)]
            probs = [self.net(as_input(batch)).softmax(dim=1) for batch in batches]
        return torch.cat(probs) if probs else torch.empty(0, len(self.classes))


def load(folder: Path) -> Loaded:
    """The classifier saved in `folder`. LearnerError where anything is missing, damaged or unknown."""
    try:
        meta = json.loads((folder / META).read_bytes())
        weights = (folder / WEIGHTS).read_bytes()
        if meta["format"] != FORMAT:
            raise LearnerError(f"{folder / META} has format {meta['format']!r}; this version reads {FORMAT}")
        if hashlib.sha256(weights).hexdigest() != meta["weights_sha256"]:
            raise LearnerError(f"{folder / WEIGHTS} does not belong to its {META}; save the model again")
        return _restore(meta, weights)
    except OSError as error:
        raise LearnerError(f"no model in {folder}: {error.strerror} ({error.filename})") from None
    except (ValueError, KeyError, TypeError, RuntimeError, AttributeError, ArithmeticError, SafetensorError) as error:
        reason = textwrap.shorten(str(error), 200)  # PyTorch names every tensor on a line of its own
        raise LearnerError(f"the model in {folder} is damaged: {type(error).__name__}: {reason}") from error


def _restore(meta: dict[str, Any], weights: bytes) -> Loaded:
    arguments = meta["arguments"]
    _check_size([arguments, meta["image_size"]])
    height, width = (int(side) for side in meta["image_size"] if not isinstance(side, str))
    classes = [str(name) for name in meta["classes"]]
    "".join(classes).encode()  # raises for what cannot be written anywhere
    build, tensors = lookup("model", MODELS, meta["kind"]).load(), safetensors.load(weights)
    with torch.device("meta"):  # so that nothing large is built before the weights prove that it is meant
        net = build(**arguments)
    kinds = {name: tensor.dtype for name, tensor in net.state_dict().items()}
    net.load_state_dict(tensors, assign=True)
    _check_numbers(net.state_dict(), kinds)
    if any(buffer.is_meta for buffer in net.buffers()):  # one that is computed, not saved
        net = build(**arguments)
        net.load_state_dict(tensors)
    if len(classes) != arguments["num_classes"]:
        raise ValueError(f"{len(classes)} class names for {arguments['num_classes']} classes")
    if not (height and width):
        raise ValueError(f"no image has {height} x {width} pixels")
    return Loaded(classes, (height, width), net.eval())


def _check_numbers(tensors: dict[str, Tensor], kinds: dict[str, torch.dtype]) -> None:
    """Every weight is a finite number of the kind that the net has."""
    for name, tensor in tensors.items():
        if tensor.dtype != kinds[name] or not tensor.isfinite().all():
            raise ValueError(f"{name} holds other than finite numbers of {kinds[name]}")


def _check_size(value: Any) -> None:
    """Every number in what describes a net is one that a net can have."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_size(item)
    elif isinstance(value, str):
        if len(value) > _LONGEST:
            raise ValueError(f"no net has a name of {len(value)} characters")
    elif not 0 <= value <= _LARGEST:
        raise ValueError(f"a net has no setting of {value!r}")
