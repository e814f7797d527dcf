"""Any net of timm as an embedding with a head. Knows nothing of where its weights come from."""

from typing import Any

import timm
import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from learner.errors import BadSetting, UnknownName
from learner.models.head import Embedded

POOLS = ("", "token", "average", "fc1", "fc2")


class Backbone(Embedded):
    """(N, 3, H, W) in [0, 1], any H and W -> embedding (N, D) -> logits (N, C).

    Images are brought to `size` a side (bicubic, as Pillow does; 0: the size of its training), and with `normalize`
    to the mean and standard deviation of its training. `pool` says what of the last map is the embedding: the class
    token, the average, a VGG's fc1 or fc2, or (empty) what the net itself would classify by. `unit`: rows of length
    one. Raises UnknownName, and BadSetting for a size or a pool that the net does not have.
    """

    kind = "backbone"
    mean: Tensor  # (1, 3, 1, 1)
    std: Tensor  # (1, 3, 1, 1)

    def __init__(
        self, num_classes: int, name: str, size: int = 0, pool: str = "", normalize: bool = True, unit: bool = True,
        hidden: int = 0, dropout: float = 0.3, block_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        if pool not in POOLS:
            raise BadSetting(f"pool is {pool!r}; choose from {', '.join(POOLS[1:])}, or leave it empty")
        net, cfg, size = _build(name, size)
        super().__init__(num_classes, net.num_features, hidden, dropout)
        self.net, self.size, self.pool, self.unit = net, size, pool, unit
        self.arguments = {
            "num_classes": num_classes, "name": name, "size": size, "pool": pool, "normalize": normalize,
            "unit": unit, "hidden": hidden, "dropout": dropout, "block_dropout": block_dropout,
        }  # fmt: skip
        if block_dropout:
            raise BadSetting(f"block_dropout is {block_dropout}; a pretrained net has none: set it to 0")
        mean, std = (cfg.mean, cfg.std) if normalize else ((0.0,) * 3, (1.0,) * 3)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        # for whoever reads model.json: the net's weights may have terms of use of their own
        self.about = {
            "normalization": {"mean": list(mean), "std": list(std)},
            "pretrained": {"name": name, "license": cfg.license or "see where the weights come from"},
        }

    def embed(self, x: Tensor) -> Tensor:
        x = (resized(x, self.size) - self.mean) / self.std
        rows = self._pooled(self.net.forward_features(x)).float()
        return normalize(rows) if self.unit else rows

    def _pooled(self, last: Tensor) -> Tensor:
        """Last map or tokens -> (N, D)."""
        if self.pool in ("fc1", "fc2"):
            return self._fully_connected(last)
        if not self.pool:
            pooled: Tensor = self.net.forward_head(last, pre_logits=True)
            return pooled
        if last.ndim == 3:
            prefix = self.net.num_prefix_tokens
            if self.pool == "average":
                return last[:, prefix:].mean(dim=1)
            if prefix:
                return last[:, 0]
        elif self.pool == "average":
            return last.mean(dim=(1, 2) if last.shape[-1] == self.net.num_features else (2, 3))
        raise BadSetting(f"{self.arguments['name']} has no class token; set pool to average, or leave it empty")

    def _fully_connected(self, last: Tensor) -> Tensor:
        """Behind the first or second fully connected layer of a VGG and its ReLU, as it stands in the study of 2021."""
        layers = getattr(self.net, "pre_logits", None)
        activation = getattr(layers, self.pool.replace("fc", "act"), None)
        if activation is None:
            raise BadSetting(f"{self.arguments['name']} has no layer {self.pool}; VGGs have")
        found: list[Tensor] = []
        handle = activation.register_forward_hook(lambda layer, inputs, output: found.append(output))
        self.net.forward_head(last, pre_logits=True)
        handle.remove()
        return found[0].mean(dim=(2, 3))


def resized(x: Tensor, size: int) -> Tensor:
    """(N, 3, H, W) in [0, 1] -> (N, 3, size, size), bicubic as Pillow does it."""
    if x.shape[2:] == (size, size):
        return x
    return interpolate(x, (size, size), mode="bicubic", antialias=True).clamp(0, 1)


def _build(name: str, size: int) -> tuple[Any, Any, int]:
    """timm's net without a classifier and without weights, its configuration, and the size that it takes."""
    cfg = configuration(name)
    size = size or int(cfg.input_size[-1])
    fixed: dict[str, Any] = {"img_size": size} if cfg.fixed_input_size and size != cfg.input_size[-1] else {}
    try:
        net: Any = timm.create_model(name, pretrained=False, num_classes=0, **fixed)
    except (AssertionError, TypeError, ValueError) as error:
        raise BadSetting(f"{name} cannot take images of {size} px: {error}") from None
    patch = net.patch_embed.patch_size[0] if fixed else 1
    if size < patch:
        raise BadSetting(
            f"{name} cannot take images of {size} px: it looks at squares of {patch} px; set a larger size"
        )
    return net, cfg, size


def configuration(name: str) -> Any:
    """What timm knows of a net: input size, mean, standard deviation, where its weights are. UnknownName."""
    from difflib import get_close_matches

    try:
        cfg = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    except RuntimeError:  # a tag that does not exist
        cfg = None
    if cfg is None:
        close = get_close_matches(name, timm.list_models(pretrained=True), 4, 0.5) or ["vit_small_patch16_224.dino"]
        raise UnknownName(f"timm has no net {name!r}; is it one of {', '.join(close)}?")
    return cfg
