"""Nets of timm as embeddings: against timm itself, against known photographs, against broken files of weights."""

import time
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images
from sklearn.neighbors import KNeighborsClassifier

from learner import checkpoint, datasets
from learner.data import ImageSet
from learner.errors import BadSetting, LearnerError, UnknownName, WeightsError
from learner.features import embed, parse
from learner.models import weights
from learner.models.backbone import Backbone, resized
from learner.models.head import as_input

HOPPER = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
FEATURES_PAGE = Path(__file__).parents[2] / "docs" / "features.md"
LITE0 = "tf_efficientnet_lite0"
NAMES = ["test_efficientnet.r160_in1k", "test_vit.r160_in1k", "test_convnext.r160_in1k", "test_resnet.r160_in1k"]


def square(image: Image.Image, side: int) -> np.ndarray:
    short = min(image.size)
    left = (image.width - short) // 2
    return np.array(image.resize((side, side), Image.Resampling.BICUBIC, box=(left, 0, left + short, short)))


def photographs() -> torch.Tensor:
    """An admiral in uniform, and a flower: (2, 3, 224, 224) in [0, 1]."""
    flower = Image.fromarray(load_sample_images().images[1])
    pixels = np.stack([square(image, 224) for image in (Image.open(HOPPER).convert("RGB"), flower)])
    return as_input(torch.from_numpy(pixels))


@pytest.mark.parametrize("name", weights.SHIPPED)
def test_the_shipped_weights_know_a_uniform_and_a_flower(name):
    """Every weight finds its place, or ImageNet's classes would not come out."""
    shipped = weights.SHIPPED[name]
    state = shipped.rename(weights.read(weights._installed(shipped)))
    whole = timm.create_model(name, pretrained=False).eval()
    whole.load_state_dict(state)
    with torch.inference_mode():
        uniform, flower = whole((photographs() - 0.5) / 0.5).topk(3, dim=1).indices.tolist()
    assert 652 in uniform
    assert flower[0] in (985, 599)  # a daisy; Lite2 takes the petals for a honeycomb
    net = Backbone(2, name, size=224, unit=False).eval()
    weights.load(net.net, name)
    with torch.inference_mode():
        features = whole.forward_head(whole.forward_features((photographs() - 0.5) / 0.5), pre_logits=True)
        assert torch.allclose(net.embed(photographs()), features, atol=1e-5)


def crops(side: int = 48) -> tuple[ImageSet, np.ndarray]:
    """Grey squares out of three photographs: what is left is texture. And which photograph each comes from."""
    rng = np.random.default_rng(0)
    pictures = [*load_sample_images().images, np.array(Image.open(HOPPER).convert("RGB"))]
    found = []
    for picture in pictures:
        grey = picture.mean(axis=2).astype(np.uint8)
        for _ in range(60):
            top, left = (rng.integers(length - side) for length in grey.shape)
            found.append(grey[top : top + side, left : left + side])
    return ImageSet.of(np.repeat(np.stack(found)[..., None], 3, axis=-1)), np.repeat(np.arange(3), 60)


def test_neighbours_in_the_embedding_are_of_the_same_photograph():
    """On real images, beside the same net with random weights."""
    images, classes = crops()

    def accuracy(source: str) -> float:
        x = embed(images, parse(f"timm:{LITE0}@96", weights=source))
        return KNeighborsClassifier(5).fit(x[::2], classes[::2]).score(x[1::2], classes[1::2])

    assert accuracy("") > 0.8
    assert accuracy("") > accuracy("random") + 0.1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [0, 64])
def test_rows_are_what_timm_would_classify_by(name, size):
    torch.manual_seed(0)
    net = Backbone(2, name, size=size, unit=False).eval()
    cfg = timm.get_pretrained_cfg(name)
    side = size or cfg.input_size[1]
    x = torch.rand(2, 3, side, side)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (cfg.mean, cfg.std))
    with torch.inference_mode():
        assert torch.allclose(net.embed(x), net.net((x - mean) / std), atol=1e-5)
        assert torch.allclose(Backbone.embed(net, x * std + mean), net.net((x * std + mean - mean) / std), atol=1e-4)


def test_without_normalisation_pixels_arrive_as_they_are():
    net = Backbone(2, NAMES[0], size=32, normalize=False, unit=False).eval()
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(net.embed(x), net.net(x))


def test_tokens_and_averages_are_those_of_the_last_layer():
    x = torch.rand(2, 3, 160, 160)
    for pool, of in (("token", lambda last: last[:, 0]), ("average", lambda last: last[:, 1:].mean(dim=1))):
        net = Backbone(2, "test_vit", pool=pool, normalize=False, unit=False).eval()
        assert torch.allclose(net.embed(x), of(net.net.forward_features(x)), atol=1e-5)
    conv = Backbone(2, "test_resnet", pool="average", normalize=False, unit=False).eval()
    assert torch.allclose(conv.embed(x), conv.net(x), atol=1e-5)


def test_a_net_without_a_class_token_says_so():
    with pytest.raises(BadSetting, match="test_resnet has no class token; set pool to average"):
        Backbone(2, "test_resnet", pool="token").embed(torch.rand(1, 3, 160, 160))


def test_images_are_resized_as_pillow_does():
    pixels = np.random.default_rng(0).integers(60, 200, (8, 8, 3)).astype(np.uint8)
    larger = np.array(Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC))
    small, large = (as_input(torch.from_numpy(each[None])) for each in (pixels, larger))
    assert torch.allclose(resized(small, 32), large, atol=1.6 / 255)  # Pillow rounds between its two passes


def test_rows_have_length_one_unless_lengths_are_asked_for():
    x = torch.rand(2, 3, 32, 32)
    assert Backbone(2, "test_resnet").eval().embed(x).norm(dim=1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("name", ["tf_efficientnet_light0", "vit_small_patch16_224.nope", "hf-hub:a/b", "../x", ""])
def test_an_unknown_net_names_others(name):
    with pytest.raises(UnknownName, match="timm has no net"):
        Backbone(2, name)


def test_a_size_that_a_net_cannot_take_is_named():
    with pytest.raises(BadSetting, match="test_vit"):
        Backbone(2, "test_vit", size=7)


# ---- weights


@pytest.fixture
def file(tmp_path) -> Path:
    """Weights of another net of the same kind, with its classifier, as a wrapper saved them."""
    torch.manual_seed(1)
    state = timm.create_model("test_resnet", num_classes=7).state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path := tmp_path / "weights.pth")
    return path


def filled(path: Path | str) -> Backbone:
    net = Backbone(2, "test_resnet")
    weights.load(net.net, "test_resnet", str(path))
    return net


def test_a_file_fills_every_weight(file, tmp_path):
    state = weights.read(file)
    net = filled(file)
    assert all(torch.equal(value, state[f"module.{name}"]) for name, value in net.net.state_dict().items())
    save_file({k.removeprefix("module."): v for k, v in state.items()}, other := tmp_path / "w.safetensors")
    assert torch.equal(filled(other).net.conv1[0].weight, net.net.conv1[0].weight)


def test_random_weights_are_the_same_everywhere():
    images = datasets.load("digits").train
    some = images.only(images.ids[:3])
    text = parse("timm:test_resnet@32", weights="random")
    assert np.array_equal(embed(some, text), embed(some.only(some.ids), text))


def test_position_embeddings_follow_the_size(tmp_path):
    torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "vit.pth")
    net = Backbone(2, "test_vit", size=96)
    weights.load(net.net, "test_vit", str(tmp_path / "vit.pth"))
    assert net.eval().embed(torch.rand(1, 3, 96, 96)).isfinite().all()


def broken(path: Path, kind: str) -> Path:
    """A file that is not what it should be."""
    state = timm.create_model("test_resnet").state_dict()
    if kind == "other net":
        torch.save(timm.create_model("test_vit").state_dict(), path)
    elif kind == "not finite":
        torch.save(state | {"conv1.0.weight": state["conv1.0.weight"] * float("nan")}, path)
    elif kind == "half":
        torch.save(dict(list(state.items())[:9]), path)
    elif kind == "a list":
        torch.save([1, 2], path)
    elif kind == "pickle":
        torch.save({"x": Path("/")}, path)
    elif kind == "text":
        path.write_text("hello")
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("other net", "are not those of test_resnet"),
        ("not finite", "not finite, in conv1.0.weight"),
        ("half", "are not those of test_resnet: Missing"),
        ("a list", "holds no state dict"),
        ("pickle", "holds no plain weights"),
        ("text", "holds no plain weights"),
        ("nothing", "cannot read the weights"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_any_other_file_is_refused_in_one_line(tmp_path, kind, said, suffix):
    path = broken(tmp_path / f"weights{suffix}", kind)
    if suffix == ".safetensors" and kind != "nothing":
        said = "holds no plain weights"
    with pytest.raises(WeightsError, match=said) as caught:
        filled(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_offline_one_line_names_the_ways_out(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(weights, "HUB", weights.Hub())
    with pytest.raises(WeightsError, match=r"--weights FILE.*annotator\[offline\].*features pca"):
        filled("")


@pytest.mark.parametrize(("error", "asked"), [(LocalEntryNotFoundError("no network"), 1), (ValueError("odd file"), 3)])
def test_a_hub_that_cannot_be_reached_is_left_alone_for_a_minute(monkeypatch, error, asked):
    names = []

    def create(name, **arguments):
        names.append(name)
        raise error

    monkeypatch.setattr(weights.timm, "create_model", create)
    hub = weights.Hub()
    for name in ("vgg11", "vgg13", "vgg16"):
        with pytest.raises(WeightsError, match=rf"of {name} .*\({type(error).__name__}: {error}\).*--weights FILE"):
            hub.fetch(name)
    assert len(names) == asked
    later = time.monotonic() + weights.AGAIN
    monkeypatch.setattr(weights.time, "monotonic", lambda: later)
    with pytest.raises(WeightsError, match="of vgg19 "):
        hub.fetch("vgg19")
    assert names[-1] == "vgg19"


def test_the_hub_is_asked_without_telemetry():
    from huggingface_hub import constants

    assert constants.HF_HUB_DISABLE_TELEMETRY


def test_the_shipped_net_is_at_hand():
    assert weights.at_hand() == LITE0


def test_a_saved_backbone_predicts_any_pixels_of_its_size(tmp_path):
    net = Backbone(3, "test_vit", hidden=4).eval()
    checkpoint.save_net(tmp_path, net, ["a", "b", "c"], (160, 160))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3)).astype(np.uint8)
    with torch.inference_mode():
        expected = net(as_input(torch.from_numpy(pixels))).softmax(dim=1)
    assert torch.allclose(checkpoint.load(tmp_path).predict(pixels), expected, atol=1e-5)


def test_a_saved_backbone_with_buffers_that_are_computed_comes_back(tmp_path):
    net = Backbone(2, "test_vit_relpos").eval()
    checkpoint.save_net(tmp_path, net, ["a", "b"], (160, 160))
    x = torch.rand(1, 3, 160, 160)
    with torch.inference_mode():
        assert torch.allclose(checkpoint.load(tmp_path).net(x), net(x), atol=1e-5)


def test_a_model_file_that_names_a_hub_is_refused(tmp_path):
    net = Backbone(2, "test_resnet", size=32)
    net.arguments["name"] = "hf-hub:somebody/something"
    checkpoint.save_net(tmp_path, net, ["a", "b"], (32, 32))
    with pytest.raises(LearnerError, match="timm has no net"):
        checkpoint.load(tmp_path)


@pytest.mark.long
def test_the_fully_connected_layers_of_a_vgg_are_those_of_timm():
    net = Backbone(2, "vgg11", size=32, pool="fc1", unit=False).eval()
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        mlp = net.net.pre_logits
        last = net.net.forward_features((x - net.mean) / net.std)
        first = mlp.act1(mlp.fc1(torch.nn.functional.adaptive_avg_pool2d(last, (7, 7))))
        assert torch.allclose(net.embed(x), first.mean(dim=(2, 3)), atol=1e-5)
        net.pool = "fc2"
        assert torch.allclose(net.embed(x), mlp.act2(mlp.fc2(first)).mean(dim=(2, 3)), atol=1e-5)


def test_a_net_without_such_a_layer_is_refused():
    with pytest.raises(BadSetting, match=r"test_resnet\.r160_in1k has no layer fc1; VGGs have"):
        Backbone(2, "test_resnet.r160_in1k", size=32, pool="fc1").eval().embed(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("vgg16.tv_in1k@fc1", 4096), ("vgg16.tv_in1k@fc2", 4096), ("resnet50.tv_in1k", 2048), ("resnet50", 2048),
        ("wide_resnet50_2.tv_in1k", 2048), ("densenet121.tv_in1k", 1024), ("vit_small_patch16_224.dino", 384),
        ("vit_small_patch8_224.dino@average@32", 384), ("vit_small_patch8_224.dino@average", 384),
        ("vit_base_patch8_224.dino@average", 768), ("vit_small_patch14_dinov2.lvd142m", 384),
        ("vit_base_patch16_clip_224.openai", 768),
    ],
)  # fmt: skip
def test_every_layer_of_the_study_has_the_width_that_its_paper_gives(text, width):
    """By shapes alone, whatever the weights: no number is computed on the device `meta`."""
    chosen = parse(f"timm:{text}")
    with torch.device("meta"):
        net = Backbone(1, chosen.argument, size=chosen.settings.size, pool=chosen.settings.pool).eval()
        assert net.embed(torch.empty(2, 3, 32, 32)).shape == (2, width)
    assert chosen.argument in FEATURES_PAGE.read_text()
