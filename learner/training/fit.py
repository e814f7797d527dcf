"""The training loop that the methods share: it reports, can be cancelled and killed, and goes on where it stopped."""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from learner import checkpoint
from learner.events import Progress
from learner.settings import as_dict
from learner.training import Classifier, Task, scratch

FILE = "training.safetensors"  # of a training that is not finished
SAVE_SECONDS = 30.0  # between two of them
RANK_SECONDS = 120.0  # between two rankings on the way
RANK_SHARE = 0.05  # of the time, at most, goes into them
HEARD_SECONDS = 0.4  # at most until somebody who wants it to stop is heard
clock = time.monotonic


class Stateful(Protocol):
    """A part of a training that remembers something."""

    def state(self) -> dict[str, Tensor]: ...
    def restore(self, state: Mapping[str, Tensor]) -> None: ...


@dataclass(frozen=True)
class Said:
    """What one step can say of itself."""

    loss: Tensor  # ()
    details: dict[str, Tensor] = field(default_factory=dict)  # name -> (), shown as they are named


@dataclass(eq=False)
class Training:
    """A net on its way, and everything that decides how it goes on."""

    task: Task
    settings: Any
    net: Any
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    averaged: AveragedModel
    draws: torch.Generator
    device: torch.device
    steps: int
    images: int  # in one step
    classifier: Callable[[Any], Classifier]  # of a net in evaluation mode
    parts: dict[str, Stateful] = field(default_factory=dict)

    def run(self, step: Callable[[], Said]) -> Any:
        """Take the steps that are missing; the averaged net in evaluation mode.

        Raises NotFinite, and whatever `task.report` raises: the file of the last good weights then stays.
        """
        done = self._resume()
        with Ear(self, done) as ear:
            for number in range(done + 1, self.steps + 1):
                said = step()
                self.schedule.step()
                self.averaged.update_parameters(self.net)
                ear.after(number, said)
        _forget(self.task.folder)
        return self.averaged.module.eval()

    def save(self, done: int) -> None:
        """Everything onto the disk, in one file that appears whole or not at all."""
        if self.task.folder is not None:
            self.task.folder.mkdir(parents=True, exist_ok=True)
            tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self._tensors().items()}
            about = {"key": self._key(), "done": done, "groups": _numbers(self.optimizer)}
            content = safetensors.save(tensors, metadata={"training": json.dumps(about)})
            checkpoint.write(self.task.folder / FILE, content)
            checkpoint.sync_folder(self.task.folder)

    def _resume(self) -> int:
        """The step that the file of a killed training reached; 0 where there is none of this very training."""
        if self.task.folder is None:
            return 0
        try:
            with safe_open(self.task.folder / FILE, framework="pt") as file:
                about = json.loads((file.metadata() or {})["training"])
                if about["key"] != self._key():
                    return 0
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, ValueError, KeyError):
            return 0
        self._restore(tensors, about)
        return int(about["done"])

    def _tensors(self) -> dict[str, Tensor]:
        found = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        found |= {f"averaged.{name}": value for name, value in self.averaged.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in values.items() if v is not None}
        for part, stateful in self.parts.items():
            found |= {f"{part}.{name}": value for name, value in stateful.state().items()}
        return found | {f"random.{name}": value for name, value in self._random().items()}

    def _random(self) -> dict[str, Tensor]:
        """Where every generator stands."""
        states = {"draws": self.draws.get_state(), "torch": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def _restore(self, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
        self.net.load_state_dict(_under(tensors, "net"))
        self.averaged.load_state_dict(_under(tensors, "averaged"))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, "optimizer").items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        merged = [group | numbers for group, numbers in zip(groups, about["groups"], strict=True)]
        self.optimizer.load_state_dict({"state": state, "param_groups": merged})
        self.schedule.last_epoch = about["done"]
        for part, stateful in self.parts.items():
            stateful.restore(_under(tensors, part))
        random = _under(tensors, "random")
        self.draws.set_state(random["draws"])
        torch.set_rng_state(random["torch"])
        if self.device.type == "cuda" and "cuda" in random:
            torch.cuda.set_rng_state(random["cuda"], self.device)

    def _key(self) -> str:
        """What has to be the same for a training to go on."""
        task = self.task
        said = json.dumps([task.seed, task.round, task.num_classes, sorted(task.labels.items()), self.steps,
                           type(self.settings).__name__, as_dict(self.settings), self.net.arguments,
                           list(task.images.pixels.shape[1:]), self.device.type])  # fmt: skip
        return hashlib.sha256(said.encode() + task.images.ids.tobytes()).hexdigest()


class Ear:
    """Listens while a net trains: to the clock, and to who wants it to stop, even inside a step that takes seconds."""

    def __init__(self, training: Training, done: int) -> None:
        self._training = training
        self._hooks: list[Any] = []
        self._event = Progress("training", done, training.steps)
        self._heard = self._saved = self._started = clock()
        self._rank_at = self._heard + RANK_SECONDS
        self._first: int | None = None  # the step at which the stopwatch began
        self._every = scratch.report_every(training.steps)

    def __enter__(self) -> "Ear":
        if self._training.device.type == "cpu":  # a graphics card takes milliseconds a step, and is not waited for
            for module in self._training.net.modules():
                if not list(module.children()):
                    self._hooks.append(module.register_forward_hook(self._layer))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _layer(self, module: object, inputs: object, output: Any) -> None:
        """A layer is done; hear of it again on the way back."""
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(self._inside)  # type: ignore[no-untyped-call]
        self._inside()

    def _inside(self, gradient: object = None) -> None:
        """Between two layers: say again what was said, for whoever wants to raise."""
        if clock() - self._heard >= HEARD_SECONDS:
            self._heard = clock()
            self._training.task.report(self._event)

    def after(self, done: int, said: Said) -> None:
        """A step is done. A look at the loss waits for the device, and so comes now and then."""
        now, training = clock(), self._training
        if self._first is None:
            self._first, self._started = done, now
        due = now - self._heard >= HEARD_SECONDS
        if not (due or done % self._every == 0 or done == training.steps):
            return
        scratch.require_finite(said.loss, done, training.settings.learning_rate or training.optimizer.defaults["lr"])
        self._heard = now
        self._event = Progress(f"training ({self._words(done, now, said)})", done, training.steps)
        try:
            training.task.report(self._event)
            if now >= self._rank_at and done < training.steps:
                self._rank()
        except BaseException:
            with contextlib.suppress(OSError):  # asked to stop: nothing of it is lost, unless the disk is full
                training.save(done)
            raise
        if now - self._saved >= SAVE_SECONDS:
            training.save(done)
            self._saved = clock()

    def _rank(self) -> None:
        """Show what the averaged net knows so far; nothing of the training is touched by it."""
        began, training = clock(), self._training
        training.task.rank(training.classifier(training.averaged.module.eval()))
        self._rank_at = clock() + max(RANK_SECONDS, (clock() - began) / RANK_SHARE)

    def _words(self, done: int, now: float, said: Said) -> str:
        """Loss, details, images a second and the time left."""
        words = [f"loss {said.loss.item():.2f}", *(f"{name} {v.item():.0%}" for name, v in said.details.items())]
        steps, seconds = done - (self._first or 0), now - self._started
        if steps > 0 and seconds > 0:
            words += [f"{steps * self._training.images / seconds:,.0f} images/s",
                      f"{_duration((self._training.steps - done) * seconds / steps)} left"]  # fmt: skip
        return ", ".join(words)


def _duration(seconds: float) -> str:
    """12 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _under(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors whose names begin with the part, without it."""
    return {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")}


def _numbers(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """The numbers of each parameter group: rates, betas."""
    return [{k: v for k, v in group.items() if k != "params"} for group in optimizer.state_dict()["param_groups"]]


def _forget(folder: Path | None) -> None:
    """A training that is finished leaves no file."""
    if folder is not None:
        (folder / FILE).unlink(missing_ok=True)
