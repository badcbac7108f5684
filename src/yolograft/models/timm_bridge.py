"""``timm:KEY``: the attention layers of timm, as many as survive a trial on odd maps.

timm's factory accepts every key, but some of its layers want one map size or a multiple of 7, and one
cannot be built at all. A layer is offered only after ``probe`` has run it. timm (Apache-2.0) is
imported inside functions: it takes seconds.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping
from functools import cache
from typing import cast

import torch
from torch import nn

from yolograft.errors import ModuleError
from yolograft.models.usercode import Option, nearest

# timm keeps its keys inside one function; `get_attn` answers each of these (tested).
KEYS = (
    *(
        "se",
        "ese",
        "eca",
        "ecam",
        "ceca",
        "ge",
        "gc",
        "gca",
        "cbam",
        "lcbam",
        "coord",
        "scoord",
        "ela",
        "strip",
    ),
    *("sk", "splat", "lambda", "bottleneck", "halo", "nl", "bat"),
)
PROBE_CHANNELS = (16, 64)
PROBE_SIZES = ((16, 16), (13, 20), (1, 7), (1, 1))


def _reason(error: Exception) -> str:
    """The error in words; timm's bare assertions have none, so their source line stands in."""
    text = " ".join(str(error).split())
    if not text:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "timm" in f.filename]
        text = frames[-1].line or "no message" if frames else "no message"
    return f"{type(error).__name__}: {text}"


def _trial(module: nn.Module, channels: int, size: tuple[int, int]) -> str:
    """Why ``module`` fails on a batch of two maps, or an empty string."""
    x = torch.randn(2, channels, *size, device="cpu")
    before, name = x.clone(), f"[2, {channels}, {size[0]}, {size[1]}]"
    for training in (True, False):
        try:
            y = module.train(training)(x)
        except Exception as error:
            return f"a map of {name} raises {_reason(error)}"
        if y.shape != x.shape:
            return f"a map of {name} becomes {list(y.shape)}"
        if not bool(y.isfinite().all()):
            return f"a map of {name} gives values that are not finite"
        if not torch.equal(x, before):
            return f"it writes into its input {name}"
    if not torch.allclose(module(x[:1]), y[:1], atol=1e-4):
        return "an image's output depends on its batch mates in eval mode"
    return ""


@cache
def probe(key: str) -> str:
    """Why a timm key cannot be grafted, or an empty string; cached, and the global RNG is left as it was.

    Built at 16 and 64 channels and run in training and eval mode on 16x16, 13x20, 1x7 and 1x1 maps:
    same shape, finite, input untouched, images independent in eval mode.
    """
    from timm.layers.create_attn import create_attn

    # Probing may happen while a detector is built on the meta device; the trial needs values.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
        torch.default_generator.manual_seed(0)  # the CPU's only: fork_rng restores no other here
        for channels in PROBE_CHANNELS:
            try:
                module = create_attn(key, channels)
            except Exception as error:
                return f"building it raises {_reason(error)}"
            if module is None:
                return "timm returns no module for it"
            for size in PROBE_SIZES:
                if reason := _trial(module, channels, size):
                    return reason
    return ""


@cache
def timm_keys() -> tuple[str, ...]:
    """The timm keys that pass ``probe``, in timm's order."""
    return tuple(key for key in KEYS if not probe(key))


def _check_options(key: str, constructor: Callable[..., nn.Module], options: Mapping[str, Option]) -> None:
    parameters = inspect.signature(constructor).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    accepted = [name for name in list(parameters)[1:] if name not in ("device", "dtype")]
    for name in options:
        if name not in accepted:
            fix = f"it accepts: {', '.join(nearest(name, accepted)[:10])}"
            raise ModuleError("YG232", f"timm:{key} has no option '{name}'", fix=fix)


def timm_attention(key: str, in_channels: int, options: Mapping[str, Option]) -> nn.Module:
    """A timm attention layer for maps [B, in_channels, H, W], with ``out_channels`` set.

    Args:
        key: a key of ``timm.layers.create_attn`` such as ``eca`` (any case).
        in_channels: channels of the map.
        options: keyword options of the timm class.

    Raises:
        ModuleError: YG230 (unknown key), YG231 (the key fails its probe), YG232 (unknown option), YG233
            (timm refuses this channel count or these options).
    """
    name = key.lower()
    if name not in KEYS:
        raise ModuleError(
            "YG230", f"timm has no attention '{key}'", fix=f"nearest: {', '.join(nearest(name, KEYS)[:5])}"
        )
    if reason := probe(name):
        fix = f"these pass: {' '.join(timm_keys())}"
        raise ModuleError("YG231", f"timm:{name} cannot be grafted: {reason}", fix=fix)
    from timm.layers.create_attn import create_attn, get_attn

    _check_options(name, cast(Callable[..., nn.Module], get_attn(name)), options)
    try:
        module = create_attn(name, in_channels, **options)
    except Exception as error:
        given = ", ".join(f"{k}={v!r}" for k, v in options.items()) or "its defaults"
        cause = f"timm:{name} cannot be built for {in_channels} channels with {given}: {_reason(error)}"
        raise ModuleError("YG233", cause) from error
    assert isinstance(module, nn.Module)
    vars(module)["out_channels"] = options.get("out_channels", in_channels)
    return module
