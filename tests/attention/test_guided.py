"""Guided attention: the equations, the supervision, and what it leaves behind."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor

from yolograft.attention.guided import GuidedAttention
from yolograft.errors import MAX_LINE, ModuleError
from yolograft.models.identity import IdentityStart
from yolograft.types import Targets

FRAME = (40, 56)  # maps of 5 x 7 cells at stride 8
modes = pytest.mark.parametrize("mode", ["foreground", "background"])


def two_images() -> Targets:
    """A box of 2 x 3 cells and a speck in the first image, none in the second."""
    boxes = torch.tensor([[8.0, 8.0, 32.0, 24.0], [49.0, 33.0, 50.0, 34.0]])
    return Targets(boxes, torch.tensor([0, 1]), torch.tensor([0, 0]), 2)


def no_boxes(images: int = 2) -> Targets:
    none = torch.zeros(0, dtype=torch.int64)
    return Targets(torch.zeros(0, 4), none, none, images)


def truth() -> Tensor:
    mask = torch.zeros(2, 1, 5, 7, dtype=torch.bool)
    mask[0, 0, 1:3, 1:4] = True
    mask[0, 0, 4, 6] = True
    return mask


@modes
def test_the_equations(mode: str) -> None:
    torch.manual_seed(0)
    module = GuidedAttention(6, mode=mode, hidden=3).double().eval()
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    seen = torch.einsum("hc,bcij->bhij", module.local.weight[..., 0, 0], x)
    seen = seen + module.local.bias.view(1, -1, 1, 1)  # type: ignore[union-attr]
    if mode == "foreground":
        assert module.whole is not None
        seen = (
            seen + torch.einsum("hc,bc->bh", module.whole.weight[..., 0, 0], x.mean((2, 3)))[..., None, None]
        )
    hidden, logits = seen / (1 + torch.exp(-seen)), torch.zeros(2, 4, 5, dtype=torch.float64)
    kernel, bias = module.predict.weight[0], module.predict.bias
    for i in range(4):
        for j in range(5):
            for di in (-1, 0, 1):
                for dj in (-1, 0, 1):
                    if 0 <= i + di < 4 and 0 <= j + dj < 5:
                        logits[:, i, j] += hidden[:, :, i + di, j + dj] @ kernel[:, di + 1, dj + 1]
    assert bias is not None
    share = (1 / (1 + torch.exp(-(logits + bias))))[:, None]
    torch.testing.assert_close(module(x), x * (1 + share) if mode == "foreground" else x * (1 - share))


@pytest.mark.parametrize(("mode", "channels", "hidden"), [("foreground", 64, 16), ("background", 12, 5)])
def test_parameters_by_hand(mode: str, channels: int, hidden: int) -> None:
    module = GuidedAttention(channels, mode=mode, hidden=hidden)
    expected = (channels * hidden + hidden) + (9 * hidden + 1) + channels * hidden * (mode == "foreground")
    assert sum(p.numel() for p in module.parameters()) == expected


@modes
def test_the_loss_is_the_mean_of_two_means(mode: str) -> None:
    torch.manual_seed(1)
    module = GuidedAttention(4, mode=mode, weight=3.0)
    module(torch.randn(2, 4, 5, 7))
    assert module.logits is not None
    logits, inside = module.logits.detach().double(), truth()
    entropy: dict[bool, list[float]] = {True: [], False: []}
    for logit, within in zip(logits.flatten().tolist(), inside.flatten().tolist(), strict=True):
        wanted = within if mode == "foreground" else not within
        share = 1 / (1 + math.exp(-logit))
        entropy[within].append(-math.log(share if wanted else 1 - share))
    expected = 3 * sum(sum(values) / len(values) for values in entropy.values()) / 2
    assert module.supervise(two_images(), image_size=FRAME).item() == pytest.approx(expected, rel=1e-5)


@modes
def test_zero_at_the_perfect_map(mode: str) -> None:
    module, sign = GuidedAttention(4, mode=mode), 1 if mode == "foreground" else -1
    for targets, inside in ((two_images(), truth()), (no_boxes(), torch.zeros(2, 1, 5, 7, dtype=torch.bool))):
        module.logits = torch.where(inside, 200.0, -200.0) * sign
        assert module.supervise(targets, image_size=FRAME).item() == 0
        module.logits = torch.where(inside, -200.0, 200.0) * sign
        assert module.supervise(targets, image_size=FRAME).item() > 1


@modes
def test_a_few_steps_find_the_boxes(mode: str) -> None:
    torch.manual_seed(2)
    module = GuidedAttention(4, mode=mode, weight=1.0)
    x = torch.randn(2, 4, 5, 7) + 2 * truth()
    optimiser, losses = torch.optim.Adam(module.parameters(), lr=0.05), []
    for _ in range(25):
        optimiser.zero_grad()
        module(x)
        loss = module.supervise(two_images(), image_size=FRAME)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]
    gate = module.eval()(torch.ones_like(x) * x) / x
    assert gate[0, 0][truth()[0, 0]].mean() > gate[0, 0][~truth()[0, 0]].mean() + 0.3


def test_the_gradient_of_the_loss_reaches_parameters_and_map() -> None:
    module = GuidedAttention(4)
    x = torch.randn(1, 4, 5, 7, requires_grad=True)
    module(x)
    targets = two_images()._replace(batch_size=1)
    module.supervise(targets, image_size=FRAME).backward()
    assert x.grad is not None and x.grad.any()
    assert all(p.grad is not None and p.grad.any() for p in module.parameters())


def test_the_loss_is_full_precision_under_autocast() -> None:
    module = GuidedAttention(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module(torch.randn(2, 4, 5, 7))
        loss = module.supervise(two_images(), image_size=FRAME)
    assert loss.dtype == torch.float32 and loss.isfinite()
    loss.backward()
    assert module.predict.weight.grad is not None


def test_a_map_waits_once_and_only_in_training() -> None:
    module, x = GuidedAttention(4), torch.randn(2, 4, 5, 7)
    for forward in (lambda: None, lambda: module.eval()(x), lambda: module.train().requires_grad_()):
        forward()
        with pytest.raises(ModuleError, match="YG250") as caught:
            module.supervise(two_images(), image_size=FRAME)
        assert len(str(caught.value)) <= MAX_LINE
    with torch.no_grad():
        module(x)
    assert module.logits is None
    module(x)
    module.supervise(two_images(), image_size=FRAME)
    with pytest.raises(ModuleError, match="YG250"):
        module.supervise(two_images(), image_size=FRAME)


def test_copies_after_a_forward_pass_hold_no_map() -> None:
    module = IdentityStart(GuidedAttention(4), in_channels=4)
    module(torch.randn(2, 4, 5, 7))
    twin = copy.deepcopy(module)
    assert isinstance(twin.module, GuidedAttention) and twin.module.logits is None
    assert isinstance(module.module, GuidedAttention) and module.module.logits is not None
    assert twin.state_dict().keys() == module.state_dict().keys()
    assert not any("logits" in key for key in module.state_dict())


@pytest.mark.parametrize(
    ("options", "code"),
    [({"mode": "auto"}, "YG211"), ({"hidden": 0}, "YG210"), ({"weight": -0.1}, "YG210")],
)
def test_wrong_options(options: dict[str, object], code: str) -> None:
    with pytest.raises(ModuleError, match=code):
        GuidedAttention(8, **options)  # type: ignore[arg-type]
