"""The density head: a map handed through untouched, and a density learned from the boxes."""

from __future__ import annotations

import copy

import pytest
import torch

from yolograft.attention.density import Density
from yolograft.errors import ModuleError
from yolograft.types import Targets

FRAME = (40, 56)


def crowd() -> Targets:
    """Two boxes that share a third of their union, one alone; a second image without any."""
    boxes = torch.tensor([[0.0, 0.0, 16.0, 16.0], [8.0, 0.0, 24.0, 16.0], [32.0, 24.0, 48.0, 40.0]])
    return Targets(boxes, torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64), 2)


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (1, 6)])
@pytest.mark.parametrize("training", [True, False])
def test_the_very_same_map_comes_out(size: tuple[int, int], training: bool) -> None:
    module = Density(6).train(training)
    x = torch.randn(1, 6, *size).contiguous(memory_format=torch.channels_last)
    assert module(x) is x
    assert module.density is not None and module.density.shape == (1, 1, *size)
    assert module.density.requires_grad == training
    assert bool(((module.density > 0) & (module.density < 1)).all())


@pytest.mark.parametrize(("channels", "hidden"), [(64, 32), (7, 3)])
def test_parameters_by_hand(channels: int, hidden: int) -> None:
    count = sum(p.numel() for p in Density(channels, hidden=hidden).parameters())
    assert count == channels * hidden + hidden + 25 * hidden + 1


def test_smooth_l1_over_the_cells_of_the_boxes() -> None:
    torch.manual_seed(0)
    module = Density(4, weight=2.0)
    module(torch.randn(2, 4, 5, 7))
    assert module.density is not None
    found, wanted = module.density.detach().tolist(), []
    for row in range(5):
        for column in range(7):
            x, y = 8 * column + 4, 8 * row + 4
            if x < 24 and y < 16:
                wanted.append((found[0][0][row][column], 1 / 3))
            elif 32 < x < 48 and y > 24:
                wanted.append((found[0][0][row][column], 0.0))
    expected = 2 * sum((value - density) ** 2 / 2 for value, density in wanted) / len(wanted)
    assert len(wanted) == 6 + 4
    assert module.supervise(crowd(), image_size=FRAME).item() == pytest.approx(expected, rel=1e-5)


def test_zero_at_the_perfect_map_and_without_boxes() -> None:
    module = Density(4)
    density = torch.full((2, 1, 5, 7), 0.77)  # outside the boxes it may say anything
    density[0, 0, :2, :3] = 1 / 3
    density[0, 0, 3:, 4:6] = 0
    module.density = density
    assert module.supervise(crowd(), image_size=FRAME).item() == pytest.approx(0, abs=1e-12)
    none = torch.zeros(0, dtype=torch.int64)
    module(torch.randn(2, 4, 5, 7))
    empty = module.supervise(Targets(torch.zeros(0, 4), none, none, 2), image_size=FRAME)
    empty.backward()
    assert empty.item() == 0


def test_a_few_steps_learn_the_density() -> None:
    torch.manual_seed(1)
    module, x, losses = Density(8), torch.randn(2, 8, 5, 7), []
    optimiser = torch.optim.Adam(module.parameters(), lr=0.03)
    for _ in range(25):
        optimiser.zero_grad()
        module(x)
        loss = module.supervise(crowd(), image_size=FRAME)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("joint", [True, False])
def test_the_detector_learns_from_it_only_when_joint(joint: bool) -> None:
    module, x = Density(4, joint=joint), torch.randn(2, 4, 5, 7, requires_grad=True)
    module(x)
    module.supervise(crowd(), image_size=FRAME).backward()
    assert (x.grad is not None) == joint
    assert all(p.grad is not None and p.grad.any() for p in module.parameters())


def test_full_precision_under_autocast() -> None:
    module = Density(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module(torch.randn(2, 4, 5, 7))
        loss = module.supervise(crowd(), image_size=FRAME)
    assert module.density is not None and module.density.dtype == loss.dtype == torch.float32


def test_nothing_stays_in_copies_and_no_graph_after_the_loss() -> None:
    module = Density(4)
    with pytest.raises(ModuleError, match="YG250"):
        module.supervise(crowd(), image_size=FRAME)
    module(torch.randn(2, 4, 5, 7))
    twin = copy.deepcopy(module)
    assert twin.density is None and module.density is not None
    assert "density" not in module.state_dict() and twin.state_dict().keys() == module.state_dict().keys()
    module.supervise(crowd(), image_size=FRAME)
    assert module.density.grad_fn is None


def test_an_exported_graph_only_hands_the_map_through() -> None:
    module, x = Density(4).eval(), torch.randn(1, 4, 5, 7)
    program = torch.export.export(module, (x,))
    assert torch.equal(program.module()(x), x)


@pytest.mark.parametrize(
    ("options", "code"), [({"hidden": 0}, "YG210"), ({"weight": -1}, "YG210"), ({"joint": 1}, "YG211")]
)
def test_wrong_options(options: dict[str, object], code: str) -> None:
    with pytest.raises(ModuleError, match=code):
        Density(8, **options)  # type: ignore[arg-type]
