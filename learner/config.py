"""Every setting of the learner, once, but those of the strategies: see `learner.acquisition.settings`."""

from dataclasses import dataclass
from typing import Any, ClassVar

from learner.settings import setting


@dataclass(frozen=True)
class DatasetSettings:
    """How a benchmark set is used."""

    modified: bool = setting(False, "keep a tenth of the training images of half of the classes, drawn by the seed")
    longtail: int = setting(0, "so many times larger is the largest class than the smallest; 0: as they are")
    flip: bool | None = setting(None, "does a mirrored image keep its class? None: as the data set says")


@dataclass(frozen=True)
class FolderSettings(DatasetSettings):
    """How a folder of images is used."""

    image_size: int = setting(32, "side in pixels to which every image is brought", low=8, high=512)


@dataclass(frozen=True)
class PixelFeatures:
    """The pixels themselves, three numbers each."""

    size: int = setting(16, "largest side to which images are brought", low=1)


@dataclass(frozen=True)
class PcaFeatures:
    """Principal components of the pixels."""

    components: int = setting(64, "at most so many", low=1)


@dataclass(frozen=True)
class BackboneFeatures:
    """The last layer of a pretrained net."""

    size: int = setting(0, "side in pixels to which images are brought; 0: as in its training", high=1024)
    normalize: bool = setting(True, "bring pixels to the mean and standard deviation of its training")
    pool: str = setting(
        "",
        "token, average, fc1, fc2; empty: what the net classifies by",
        choices=("", "token", "average", "fc1", "fc2"),
    )
    unit: bool = setting(True, "bring each row to length one")
    weights: str = setting("", "file of weights; random: untrained; empty: timm's by name")


@dataclass(frozen=True)
class AutoencoderFeatures:
    """What a small autoencoder of the images keeps."""

    dimensions: int = setting(64, "numbers that an image is brought to", low=1, high=4096)
    channels: int = setting(16, "of the first layer; doubled with each halving", low=1, high=1024)
    steps: int = setting(1000, "training steps", low=1)
    batch_size: int = setting(128, "images in one step", low=2)


@dataclass(frozen=True)
class DecFeatures(AutoencoderFeatures):
    """The same, pulled into clusters."""

    dimensions: int = setting(10, "numbers that an image is brought to", low=1, high=4096)
    sharpening: int = setting(500, "steps in which clusters are sharpened", low=0)


@dataclass(frozen=True)
class LoopSettings:
    """When a round starts, and how much it asks."""

    query_size: int = setting(20, "images asked in one round", low=1)
    start_size: int = setting(0, "images asked before there is any label; 0: as many as query_size")
    budgets: tuple[int, ...] = setting((), "labels in total after each round, instead of equal queries: 10,20,50")
    budget: int = setting(0, "labels in total, then it stops asking; 0: no end")
    cold_start: str = setting("typiclust", "strategy of the selection before there is any label")
    features: str = setting(
        "", "what strategies see of an image; penultimate: as the current model; empty: what the method sees, else pca"
    )
    duplicates: float = setting(
        0.98, "images that are more alike than this, up to 1, are not asked in the same query; 1: all are", high=1
    )
    class_quota: float = setting(
        0.0,
        "largest share of a query that is predicted to be of one class; 0: any; helps where classes are rare",
        high=1,
    )
    tail_size: int = setting(200, "images ranked behind the query, so that nobody waits while a round trains")
    new_labels: int = setting(0, "a round starts after so many answers from anywhere; 0: as many as query_size")
    pause: float = setting(0.0, "a round also starts when nobody answered for so many seconds; 0: never")
    full_query_only: bool = setting(False, "a round starts only when the whole query is answered")
    seed: int = setting(0, "the seed of everything random")


@dataclass(frozen=True)
class PropagateSettings:
    """Label spreading over a graph of nearest neighbours."""

    features: str = setting("pca", "pca, pixels or timm:NAME, behind it @SIZE, @raw, @token or @average")
    weights: str = setting("", "file with the weights of the timm net; empty: timm's by name")
    neighbors: int = setting(0, "neighbours of each image in the graph; 0: 7 on pixels, 15 on a backbone")
    alpha: float = setting(
        0.0, "how much an image takes from its neighbours, up to 1; 0: 0.2 on pixels, 0.8 on a backbone", high=0.99
    )
    class_balance: float = setting(
        0.5, "how much rare classes are helped: 0 not at all, 1 until all have the same mass", high=1
    )
    components: int = setting(64, "dimensions of pca", low=1)
    dropout: float = setting(0.3, "dropout before the head that the graph is distilled into", high=0.95)
    mc_samples: int = setting(50, "stochastic predictions for strategies that need them", low=1)
    max_images: int = setting(100_000, "beyond so many images the graph is built on a random subset", low=2)


@dataclass(frozen=True)
class FrozenSettings:
    """A head on the embeddings of a net that is not trained."""

    features: str = setting(
        "", "timm:NAME, behind it @SIZE, @raw, @token or @average; pca; pixels; empty: the best net at hand"
    )
    weights: str = setting("", "file with the weights of the timm net; empty: timm's by name")
    components: int = setting(64, "dimensions of pca", low=1)
    hidden: int = setting(0, "width of a hidden layer; 0: the head is linear")
    steps: int = setting(400, "training steps", low=1)
    batch_size: int = setting(256, "labeled images in one step", low=2)
    learning_rate: float = setting(0.01, "at the beginning; falls as a cosine")
    weight_decay: float = setting(0.003, "times half of the squared weights is added to the loss")
    dropout: float = setting(0.3, "dropout before the last layer", high=0.95)
    mc_samples: int = setting(50, "stochastic predictions for strategies that need them", low=1)


@dataclass(frozen=True)
class BasicSettings:
    """A net trained from scratch on the labeled images alone.

    Up to 16 px a short training of a plain net suffices (AdamW), else a WideResNet (SGD with Nesterov momentum 0.9).
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "study-2021": {
            "architecture": "wide_resnet50_2", "epochs": 100, "batch_size": 64, "augment": "weak", "optimizer": "adam",
            "learning_rate": 0.03, "weight_decay": 0.005, "label_smoothing": 0.0, "dropout": 0.0,
        },
    }  # fmt: skip
    preset: str = setting(
        "", "values to start from: study-2021 (WRN-50-2, Adam; its rates look wrong today)", choices=("", *presets)
    )
    architecture: str = setting(
        "", "wrn, conv, or wide_resnet50_2; empty: wrn, but the plain conv up to 16 px",
        choices=("", "wrn", "conv", "wide_resnet50_2"),
    )  # fmt: skip
    depth: int = setting(0, "layers of a WideResNet, 6n + 4; 0: 28, but the plain net up to 16 px")
    width: int = setting(2, "widening factor", low=1)
    steps: int = setting(0, "training steps; 0: 300 for images up to 16 px, else 2000")
    epochs: int = setting(0, "passes over the labeled images, where these are more than `steps`; 0: `steps` alone")
    batch_size: int = setting(64, "labeled images in one step", low=2)
    augment: str = setting(
        "", "weak (shifts) or affine (turns, scales, shifts); empty: affine for images up to 16 px, else weak",
        choices=("", "weak", "affine"),
    )  # fmt: skip
    optimizer: str = setting(
        "", "sgd (Nesterov momentum 0.9), adam, or adamw (one cycle); empty: sgd, but adamw for the plain net",
        choices=("", "sgd", "adam", "adamw"),
    )  # fmt: skip
    learning_rate: float = setting(0.0, "highest rate; falls as a cosine; 0: 0.03, adamw 0.004")
    weight_decay: float = setting(-1.0, "on kernels only; -1: 0.0005, adamw 0.05", low=-1)
    label_smoothing: float = setting(0.05, "how much of each label is spread over all classes", high=0.9)
    ema_decay: float = setting(
        0.99, "decay of the averaged weights that predict; less in runs below 1000 steps", high=0.9999
    )
    dropout: float = setting(0.3, "dropout before the head", high=0.95)
    block_dropout: float = setting(0.0, "dropout inside every block", high=0.95)
    bayesian: str = setting(
        "head", "what is stochastic at prediction: head, or net (slower; needs block_dropout)", choices=("head", "net")
    )
    mc_samples: int = setting(20, "stochastic predictions for strategies that need them", low=1)
    warm_start: bool = setting(False, "start from the weights of the last round instead of new ones")


@dataclass(frozen=True)
class TransferSettings:
    """A pretrained net, fine-tuned on the labeled images."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "study-2021": {
            "backbone": "wide_resnet50_2.tv_in1k", "epochs": 20, "optimizer": "adam", "learning_rate": 0.03,
            "backbone_rate": 1.0, "weight_decay": 0.005, "warmup": 0.0, "label_smoothing": 0.0, "dropout": 0.0,
        },
    }  # fmt: skip
    preset: str = setting(
        "", "values to start from: study-2021 (WRN-50-2, Adam; its rates look wrong today)", choices=("", *presets)
    )
    backbone: str = setting("", "a net of timm; empty: the best one at hand")
    weights: str = setting("", "file with its weights; random: untrained; empty: timm's by name")
    size: int = setting(0, "side in pixels to which images are brought; 0: as in its training", high=1024)
    steps: int = setting(300, "training steps", low=1)
    epochs: int = setting(0, "passes over the labeled images, where these are more than `steps`; 0: `steps` alone")
    batch_size: int = setting(32, "labeled images in one step", low=2)
    optimizer: str = setting("adamw", "adamw, or adam", choices=("adamw", "adam"))
    learning_rate: float = setting(0.002, "of the head, at its highest; falls as a cosine")
    backbone_rate: float = setting(0.1, "of the pretrained part, as a share of that", high=1)
    warmup: float = setting(0.1, "share of the steps in which the rate rises", high=0.9)
    weight_decay: float = setting(0.01, "on kernels only")
    label_smoothing: float = setting(0.05, "how much of each label is spread over all classes", high=0.9)
    ema_decay: float = setting(0.99, "decay of the averaged weights that predict; less in short runs", high=0.9999)
    dropout: float = setting(0.3, "dropout before the head", high=0.95)
    mc_samples: int = setting(20, "stochastic predictions for strategies that need them", low=1)


@dataclass(frozen=True)
class FixmatchSettings:
    """A net trained from scratch on the labeled images and on its own confident answers to the others."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "architecture": "wrn", "steps": 2**20, "batch_size": 64, "mu": 7, "augment": "weak", "optimizer": "sgd",
            "learning_rate": 0.03, "weight_decay": 5e-4, "norm_momentum": 0.001, "dropout": 0.0,
        },
        "study-2021": {
            "architecture": "wrn", "batch_size": 64, "mu": 7, "augment": "weak", "optimizer": "adam",
            "learning_rate": 0.03, "weight_decay": 0.005, "dropout": 0.0,
        },
        "quick": {"steps": 300, "batch_size": 32, "mu": 4},
    }  # fmt: skip
    preset: str = setting(
        "", "values to start from: paper (a million steps), study-2021 (Adam; its rates look wrong today), quick",
        choices=("", *presets),
    )  # fmt: skip
    architecture: str = setting(
        "", "wrn, conv, or wide_resnet50_2; empty: wrn, but the plain conv up to 16 px",
        choices=("", "wrn", "conv", "wide_resnet50_2"),
    )  # fmt: skip
    depth: int = setting(0, "layers of a WideResNet, 6n + 4; 0: 28, but the plain net up to 16 px")
    width: int = setting(2, "widening factor", low=1)
    steps: int = setting(0, "training steps; 0: 300 for images up to 16 px, else 20000; in the paper 1048576")
    batch_size: int = setting(0, "labeled images in one step; 0: 64, but 32 up to 16 px")
    mu: int = setting(0, "unlabeled images in one step for each labeled one; 0: 7, but 4 up to 16 px")
    augment: str = setting(
        "", "the weak view: weak (shifts) or affine (turns, scales, shifts); empty: affine up to 16 px, else weak",
        choices=("", "weak", "affine"),
    )  # fmt: skip
    threshold: float = setting(0.95, "a pseudo-label counts from this probability on", high=1)
    unlabeled_weight: float = setting(1.0, "of the loss of the unlabeled images")
    alignment: bool = setting(False, "align pseudo-labels with the distribution of the labels")
    adaptive: bool = setting(False, "a threshold for each class that grows with the net's confidence (FreeMatch)")
    optimizer: str = setting(
        "", "sgd (Nesterov momentum 0.9), adam, or adamw (one cycle); empty: sgd, but adamw for the plain net",
        choices=("", "sgd", "adam", "adamw"),
    )  # fmt: skip
    learning_rate: float = setting(
        0.0, "at the beginning, falls as cos(7 pi k / 16 K); adamw: the highest; 0: 0.03, adamw 0.004"
    )
    weight_decay: float = setting(-1.0, "on kernels only; 1e-3 for a hundred classes; -1: 0.0005, adamw 0.05", low=-1)
    ema_decay: float = setting(0.999, "decay of the averaged weights that predict; less in short runs", high=0.9999)
    norm_momentum: float = setting(0.1, "of the batch statistics; 0.001 in the paper's million steps", high=1)
    dropout: float = setting(0.3, "dropout before the head; 0 in the paper", high=0.95)
    block_dropout: float = setting(0.0, "dropout inside every block", high=0.95)
    bayesian: str = setting(
        "head", "what is stochastic at prediction: head, or net (slower; needs block_dropout)", choices=("head", "net")
    )
    mc_samples: int = setting(20, "stochastic predictions for strategies that need them", low=1)
    warm_start: bool = setting(False, "start from the weights of the last round instead of new ones")


@dataclass(frozen=True)
class SslSettings(FixmatchSettings):
    """FixMatch with the net of the study, whatever the preset."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        name: {key: value for key, value in values.items() if key != "architecture"}
        for name, values in FixmatchSettings.presets.items()
    }
    architecture: str = setting(
        "wide_resnet50_2", "wrn, conv, or wide_resnet50_2; empty: wrn, but the plain conv up to 16 px",
        choices=("", "wrn", "conv", "wide_resnet50_2"),
    )  # fmt: skip


@dataclass(frozen=True)
class AutoSettings:
    """A quick method at first, a stronger one when it wins."""

    labels_per_class: int = setting(10, "the stronger method is tried from so many labels per class on, on average")
    features: str = setting(
        "auto", "what it sees: pca, timm:NAME ...; auto: the best pretrained net at hand, if there is one"
    )
    weights: str = setting("", "file with the weights of the timm net; empty: timm's by name")


@dataclass(frozen=True)
class ProcessesSettings:
    """Cells of a simulation in processes of this machine."""

    workers: int = setting(0, "processes at once; 0: one for each core, one where there is a graphics card", high=1024)
    retries: int = setting(2, "how often a cell is tried again after its process was lost", high=100)


@dataclass(frozen=True)
class RaySettings:
    """Cells of a simulation as tasks of Ray."""

    address: str = setting("", "of a cluster that runs: auto, HOST:PORT, ray://HOST:PORT; empty: one is started here")
    workers: int = setting(0, "cells at once where it is started here; 0: one for each core", high=1024)
    num_gpus: float | None = setting(
        None,
        "share of a graphics card for each cell, 0.25 puts four on one, 0 none; empty: one where there is any",
        high=64,
    )
    retries: int = setting(2, "how often a cell is tried again after its process was lost", high=100)
