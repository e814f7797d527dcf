"""Every model of MODELS, the size of the WideResNet of the literature, and heads with dropout."""

import numpy as np
import pytest
import torch

from learner.errors import BadSetting
from learner.models import MODELS
from learner.models.head import DropoutHead
from learner.models.wrn import WideResNet

SMALL = {
    "wrn": {"num_classes": 5, "depth": 10, "width": 1},
    "conv": {"num_classes": 5, "width": 1},
    "wide_resnet50_2": {"num_classes": 5},
    "backbone": {"num_classes": 5, "name": "test_efficientnet", "size": 32, "hidden": 6},
    "encoder": {"num_classes": 5, "side": 16, "width": 2, "dimensions": 6},
    "head": {"num_classes": 5, "low": [8, 8], "components": 6, "hidden": 7},
}


@pytest.mark.parametrize(
    ("name", "side"), [(name, side) for name in MODELS for side in ([33] if name == "wide_resnet50_2" else [8, 32, 33])]
)
def test_a_model_reads_images_of_any_size_and_can_be_built_again(name, side):
    net = MODELS[name].load()(**SMALL[name]).eval()
    again = MODELS[net.kind].load()(**net.arguments).eval()
    again.load_state_dict(net.state_dict())
    x = torch.rand(2, 3, side, side)
    assert net(x).shape == (2, 5)
    assert torch.equal(net(x), net.head(net.features(x)))
    assert torch.equal(net(x), again(x))


def test_wrn_28_2_has_1_47_million_parameters():
    assert sum(p.numel() for p in WideResNet(10, 28, 2).parameters()) == pytest.approx(1.47e6, abs=5e3)


def test_wrn_28_8_for_a_hundred_classes_has_23_4_million():
    with torch.device("meta"):
        assert sum(p.numel() for p in WideResNet(100, 28, 8).parameters()) == pytest.approx(23.4e6, abs=5e4)


def test_a_depth_that_no_wide_resnet_has_is_refused():
    with pytest.raises(BadSetting, match="10, 16, 22, 28"):
        WideResNet(10, depth=20)


def test_dropout_is_before_the_head_and_inside_blocks_as_set():
    net = WideResNet(3, 16, 1, dropout=0.3, block_dropout=0.1)
    rates = [module.p for module in net.modules() if isinstance(module, torch.nn.Dropout)]
    assert sorted(rates) == [0.1] * 6 + [0.3]


def test_one_product_equals_one_head_after_the_other():
    head, features = DropoutHead(16, 4, 0.5), torch.randn(9, 16)
    masks = head.masks(3, np.random.default_rng(0))
    one_by_one = torch.stack([head.linear(features * mask) for mask in masks])
    assert torch.allclose(head.samples(features, masks), one_by_one, atol=1e-6)


def test_masks_are_those_of_dropout():
    masks = DropoutHead(500, 4, 0.3).masks(200, np.random.default_rng(0))
    assert masks.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert (masks == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)


@pytest.mark.long
def test_the_net_of_the_study_is_timms_but_for_its_stem():
    import timm

    net = MODELS["wide_resnet50_2"].load()(10)
    reference = timm.create_model("wide_resnet50_2", num_classes=10)
    stem = 3 * 64 * (7 * 7 - 3 * 3)
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in reference.parameters()) - stem
    maps = []
    net.net.layer1.register_forward_hook(lambda module, inputs, output: maps.append(tuple(output.shape)))
    assert net.eval()(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert maps == [(2, 256, 32, 32)]
    with pytest.raises(BadSetting, match="set it to 0"):
        MODELS["wide_resnet50_2"].load()(10, block_dropout=0.1)
