"""``check_module``: every promise a grafted module makes, checked one by one on anybody's class."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import nn

from yolograft.doctor import (
    effect_checks,
    export_checks,
    gradient_checks,
    ownership_checks,
    precision_checks,
    shape_checks,
    value_checks,
)
from yolograft.doctor.report import Finding, Report, Row, failed, skipped
from yolograft.doctor.specimen import Specimen, quiet, resolve, said
from yolograft.errors import ModuleError

Check = Callable[[Specimen], Finding]

# In the order of the table. The first two decide whether the others make sense.
CHECKS: dict[str, Check] = {
    "builds": shape_checks.builds,
    "runs": shape_checks.runs,
    "options": shape_checks.options,
    "shape": shape_checks.shape,
    "large": shape_checks.large,
    "narrow": shape_checks.narrow,
    "batch_of_one": shape_checks.batch_of_one,
    "parameters": shape_checks.parameters,
    "registered": ownership_checks.registered,
    "finite": value_checks.finite,
    "gradient": gradient_checks.gradient,
    "derivative": gradient_checks.derivative,
    "untouched": value_checks.untouched,
    "batch": value_checks.batch,
    "position": value_checks.position,
    "deterministic": value_checks.deterministic,
    "scale": value_checks.scale,
    "state_dict": value_checks.state_dict,
    "nothing_left": effect_checks.nothing_left,
    "bf16": precision_checks.bf16,
    "fp16": precision_checks.fp16,
    "device": precision_checks.device,
    "channels_last": precision_checks.channels_last,
    "compile": export_checks.compiled,
    "onnx": export_checks.onnx,
}
GATES = ("builds", "runs")
# They take seconds, most of it to load the tools; all others together take a fraction of one.
SLOW = ("compile", "onnx")


def check_module(
    module: str | type[nn.Module],
    *,
    channels: int = 64,
    options: Mapping[str, Any] | None = None,
    checks: Collection[str] | None = None,
    deep: bool = False,
) -> Report:
    """Examine a module that maps [B, channels, H, W] to a map of the size it declares.

    Runs on the CPU. Whatever the module raises becomes the reason of that row; it is trusted code,
    though: naming it runs it.

    Args:
        module: ``my_att.py::MyAtt``, ``package.module::Class``, ``timm:KEY``, a catalog name, each with
            options as in graft expressions (``my_att.py::MyAtt:k=7``); or a class.
        channels: of the map it is examined at.
        options: keyword options of its constructor, beside those in the text.
        checks: names from ``CHECKS`` to make; all when left out. The first two are always made.
        deep: let ``torch.compile`` generate code too, which takes minutes on few cores.

    Returns:
        one row a check, in the order of ``CHECKS``.

    Raises:
        ModuleError: the file, class, name or check is not there (YG201, YG218, YG219, YG22x).
        SpecError: the text is no module reference (YG11x).
    """
    wanted = set(CHECKS if checks is None else checks) | set(GATES)
    if unknown := wanted - CHECKS.keys():
        raise ModuleError("YG219", f"no check '{min(unknown)}'", fix=f"checks: {', '.join(CHECKS)}")
    with quiet():
        specimen = resolve(module, channels=channels, options=options, deep=deep)
        rows: list[Row] = []
        for name, check in CHECKS.items():
            if name in wanted:
                stopped = next((row for row in rows if row.name in GATES and row.status == "fail"), None)
                finding = skipped("stopped", check=stopped.name) if stopped else _made(check, specimen)
                rows.append(Row(name, finding))
    return Report(f"{specimen.ref.text()}, {channels} channels", tuple(rows))


def _made(check: Check, specimen: Specimen) -> Finding:
    # Each check starts from the same state of the generator, whichever checks were asked for.
    try:
        with quiet():
            return check(specimen)
    except (Exception, SystemExit) as error:
        if "modified by an inplace operation" in str(error):
            return failed("written_over")
        return failed("raises", error=said(error, specimen))
