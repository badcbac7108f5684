from __future__ import annotations

import ast
import inspect
import re

import pytest
import torch
from torch import nn

from yolograft.errors import ModuleError
from yolograft.models import timm_bridge
from yolograft.models.timm_bridge import KEYS, probe, timm_attention, timm_keys


def test_every_key_is_timms_and_none_of_timms_is_left_out() -> None:
    from timm.layers.create_attn import get_attn

    assert all(get_attn(key) is not None for key in KEYS)
    source = inspect.getsource(get_attn)
    assert set(re.findall(r"attn_type == '(\w+)'", source)) == set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_what_passes_can_be_grafted_and_what_fails_says_why(key: str) -> None:
    reason = probe(key)
    assert (key in timm_keys()) == (not reason)
    if reason:
        with pytest.raises(ModuleError) as caught:
            timm_attention(key, 32, {})
        assert caught.value.code == "YG231" and len(reason.split()) > 5
        return
    module = timm_attention(key, 32, {}).eval()
    assert module.out_channels == 32
    x = torch.randn(2, 32, 7, 12)
    y = module(x)
    assert y.shape == x.shape and y.isfinite().all()
    with torch.device("meta"):
        assert timm_attention(key, 48, {}).eval()(torch.empty(1, 48, 8, 5)).shape == (1, 48, 8, 5)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("ge", "building it raises TypeError"),
        ("bat", "[2, 16, 16, 16] raises"),
        ("halo", "[2, 16, 13, 20] raises"),
        ("bottleneck", "concrete feature size"),
    ],
)
def test_the_reasons_are_the_true_ones(key: str, words: str) -> None:
    if not probe(key):
        pytest.skip(f"this timm has mended {key}")
    assert words in probe(key)
    assert "no message" not in probe(key)


class Halves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, ::2]


class Writes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul_(2)


class Divides(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / (x - x)


class Mixes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0, keepdim=True)


@pytest.mark.parametrize(
    ("fault", "words"),
    [(Halves(), "becomes"), (Writes(), "writes into"), (Divides(), "finite"), (Mixes(), "batch mates")],
)
def test_the_trial_catches_planted_faults(fault: nn.Module, words: str) -> None:
    assert words in timm_bridge._trial(fault, 16, (4, 4))
    assert timm_bridge._trial(nn.Identity(), 16, (4, 4)) == ""


def test_probing_leaves_the_random_state_and_the_meta_device_alone() -> None:
    probe.cache_clear()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with torch.device("meta"):
        assert probe("eca") == ""
        assert torch.empty(1).is_meta
    assert torch.equal(torch.get_rng_state(), before)


def test_options_reach_timm() -> None:
    assert timm_attention("se", 64, {"rd_ratio": 0.25}).fc1.out_channels == 16  # type: ignore[union-attr]
    assert timm_attention("SE", 64, {}).fc1.out_channels == 8  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("key", "channels", "options", "code", "words"),
    [
        ("sse", 64, {}, "YG230", "nearest: se"),
        ("", 64, {}, "YG230", "nearest"),
        ("se", 64, {"rd_ration": 0.5}, "YG232", "it accepts: rd_ratio"),
        ("lambda", 18, {}, "YG233", "18 channels"),
        ("se", 64, {"rd_channels": "wide"}, "YG233", "rd_channels='wide'"),
    ],
)
def test_refusals(
    key: str, channels: int, options: dict[str, timm_bridge.Option], code: str, words: str
) -> None:
    with pytest.raises(ModuleError, match=words) as caught:
        timm_attention(key, channels, options)
    assert caught.value.code == code


def test_importing_the_bridge_does_not_import_timm() -> None:
    tree = ast.parse(inspect.getsource(timm_bridge))
    imported = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imported and not any("timm" in ast.unparse(node).split(" import ")[0] for node in imported)
