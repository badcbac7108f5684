"""Weighted and gated joins against loops written from the papers' formulas."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from torch import Tensor, nn

from yolograft.errors import ModuleError
from yolograft.fusion.bifpn import FUSIONS, BiFPNAdd, BiFPNConcat
from yolograft.fusion.dualpath import GatedConcat
from yolograft.graph import sites
from yolograft.models.catalog import find

each_fusion = pytest.mark.parametrize("fusion", FUSIONS)
each_join = pytest.mark.parametrize("cls", [BiFPNAdd, BiFPNConcat, GatedConcat])


@pytest.mark.parametrize("name", sites.FUSIONS)
def test_the_defaults_of_a_rule_are_those_of_its_class(name: str) -> None:
    """The graph compares rules without loading a class: `fusion=fast` spelled out is no other rule."""
    taken = inspect.signature(find(name).cls).parameters
    assert {key: taken[key].default for key in sites.FUSIONS[name]} == dict(sites.FUSIONS[name])


def maps(*channels: int, batch: int = 2, size: tuple[int, int] = (5, 3)) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(batch, c, *size) for c in channels]


def set_weights(module: nn.Module, values: list[float]) -> None:
    if isinstance(module.shares.weight, nn.Parameter):
        module.shares.weight.data = torch.tensor(values)


def literal_weights(values: list[float], fusion: str) -> list[float]:
    """Equations of section 3.3, one number at a time."""
    if fusion == "sum":
        return [1.0 for _ in values]
    if fusion == "softmax":
        return [math.exp(v) / sum(math.exp(u) for u in values) for v in values]
    return [max(v, 0.0) / (1e-4 + sum(max(u, 0.0) for u in values)) for v in values]


@each_fusion
@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [0.3, -0.5, 2.0], [0.0, 0.0, 0.0]])
def test_a_weighted_sum_is_the_literal_loop(fusion: str, values: list[float]) -> None:
    xs, module = maps(4, 4, 4), BiFPNAdd([4, 4, 4], fusion=fusion)
    set_weights(module, values)
    weights, y = literal_weights(values, fusion), module(xs)
    assert module.weights().tolist() == pytest.approx(weights, abs=1e-6)
    for place in [(0, 0, 0, 0), (1, 3, 4, 2), (1, 2, 0, 1)]:
        assert y[place].item() == pytest.approx(
            sum(w * x[place].item() for w, x in zip(weights, xs, strict=True)), abs=1e-5
        )
    assert y.shape == xs[0].shape and torch.isfinite(y).all()


@each_fusion
def test_a_weighted_concatenation_is_the_literal_loop(fusion: str) -> None:
    xs, module = maps(2, 5), BiFPNConcat([2, 5], fusion=fusion)
    set_weights(module, [0.2, 1.4])
    weights = literal_weights([0.2, 1.4], fusion)
    for x, w, got in zip(xs, weights, module(xs).split((2, 5), 1), strict=True):
        assert torch.allclose(got, x * w, atol=1e-6)


@each_fusion
def test_inputs_and_weights_permuted_together_change_nothing(fusion: str) -> None:
    xs, module, other = maps(4, 4, 4), BiFPNAdd([4] * 3, fusion=fusion), BiFPNAdd([4] * 3, fusion=fusion)
    set_weights(module, [0.3, 1.0, 2.0])
    set_weights(other, [2.0, 0.3, 1.0])
    assert torch.allclose(module(xs), other([xs[2], xs[0], xs[1]]), atol=1e-6)


@pytest.mark.parametrize("cls", [BiFPNAdd, BiFPNConcat])
def test_a_weight_of_zero_removes_its_input_and_the_others_share_one(cls: type[nn.Module]) -> None:
    xs, module = maps(4, 4), cls([4, 4])
    set_weights(module, [1.0, 0.0])
    before = module(xs)
    assert torch.equal(before, module([xs[0], xs[1] + 7]))
    assert module.weights().sum().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("fusion", ["fast", "softmax"])
@pytest.mark.parametrize("cls", [BiFPNAdd, BiFPNConcat])
def test_every_weight_has_a_gradient_and_is_not_decayed(cls: type[nn.Module], fusion: str) -> None:
    module = cls([4, 4, 4], fusion=fusion)
    module(maps(4, 4, 4)).square().sum().backward()
    weight = module.shares.weight
    assert weight.shape == (3,)  # one dimension: the optimiser decays matrices only
    assert (weight.grad != 0).all()


def test_an_unweighted_sum_learns_nothing() -> None:
    module = BiFPNAdd([4, 4], fusion="sum")
    assert not list(module.parameters()) and not module.state_dict()
    assert torch.equal(module(xs := maps(4, 4)), xs[0] + xs[1])


def test_maps_of_another_width_are_convolved_and_no_others() -> None:
    module = BiFPNAdd([6, 4], out_channels=4)
    assert isinstance(module.fit[1], nn.Identity) and module.fit[0].conv.weight.shape == (4, 6, 1, 1)
    assert sum(p.numel() for p in module.parameters()) == 2 + 6 * 4 + 2 * 4
    assert module(maps(6, 4)).shape == (2, 4, 5, 3)
    assert BiFPNAdd([6, 4]).out_channels == 6  # the widest: nothing is lost


def literal_gate(lateral: Tensor, path: Tensor, kernel: Tensor, both: bool) -> Tensor:
    """CBAM's equation 3 position by position, zeros around the map."""
    planes = [path.mean(0), path.amax(0)] if both else []
    planes += [lateral.mean(0), lateral.amax(0)]
    high, wide = lateral.shape[1:]
    out, half = torch.zeros(high, wide), kernel.shape[-1] // 2
    for i in range(high):
        for j in range(wide):
            total = 0.0
            for plane, weights in zip(planes, kernel[0], strict=True):
                for u in range(-half, half + 1):
                    for v in range(-half, half + 1):
                        if 0 <= i + u < high and 0 <= j + v < wide:
                            total += (plane[i + u, j + v] * weights[u + half, v + half]).item()
            out[i, j] = 1 / (1 + math.exp(-total))
    return out


@pytest.mark.parametrize("gate", ["both", "lateral"])
def test_a_gate_is_the_literal_loop(gate: str) -> None:
    (path, lateral), module = maps(3, 4, batch=1), GatedConcat([3, 4], kernel=3, gate=gate)
    kept, gated = module([path, lateral]).split((3, 4), 1)
    expected = literal_gate(lateral[0], path[0], module.gates[0].weight.detach(), gate == "both")
    assert torch.equal(kept, path)
    assert torch.allclose(gated[0], lateral[0] * expected, atol=1e-5)


def test_gates_see_where_not_which_channel() -> None:
    """Channels of a map may change places: mean and maximum over them do not."""
    path, lateral = maps(4, 4)
    module, order = GatedConcat([4, 4]), [2, 0, 3, 1]
    swapped = module([path[:, order], lateral]).split(4, 1)[1]
    assert torch.allclose(module([path, lateral]).split(4, 1)[1], swapped, atol=1e-6)


@pytest.mark.parametrize(("gate", "planes"), [("both", 4), ("lateral", 2)])
def test_gates_cost_what_their_kernels_hold(gate: str, planes: int) -> None:
    module = GatedConcat([3, 4, 5], kernel=5, gate=gate)
    assert sum(p.numel() for p in module.parameters()) == 2 * planes * 25
    assert module.out_channels == 12


@each_join
@pytest.mark.parametrize("size", [(1, 1), (7, 2)])
def test_any_size_and_half_precision(cls: type[nn.Module], size: tuple[int, int]) -> None:
    module, xs = cls([4, 4]).eval(), maps(4, 4, batch=1, size=size)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert module([x.bfloat16() for x in xs]).dtype is torch.bfloat16
    y = module([x.contiguous(memory_format=torch.channels_last) for x in xs])
    assert y.shape == (1, module.out_channels, *size) and torch.allclose(y, module(xs), atol=1e-5)


@pytest.mark.parametrize(
    ("code", "build"),
    [
        ("YG211", lambda: BiFPNAdd([4, 4], fusion="mean")),
        ("YG211", lambda: BiFPNConcat([4, 4], fusion="mean")),
        ("YG210", lambda: BiFPNAdd([4, 4], out_channels=-1)),
        ("YG210", lambda: GatedConcat([4, 4], kernel=4)),
        ("YG211", lambda: GatedConcat([4, 4], gate="path")),
    ],
)
def test_wrong_options_are_told_in_one_line(code: str, build) -> None:
    with pytest.raises(ModuleError) as caught:
        build()
    assert caught.value.code == code
