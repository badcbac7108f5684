"""Kill a comparison with SIGKILL at random moments, resume it, and compare it with an unbroken run.

    python benchmarks/kill_resume.py --data PATH [--graft EXPR] [--kills 5] [--epochs 12] [--imgsz 320]
                                     [--batch 16] [--seeds 1] [--precision fp32 bf16] [--folder DIR]

For every precision: a study of a baseline and a graft is planned twice. The first runs unbroken, in a
process of its own, and takes T seconds from the moment it holds the run folder (imports are over then).
The second is killed `--kills` times; kill i comes u_i * T / kills seconds after its process holds the
folder, u_i uniform in (0.1, 0.8), drawn from the counters ("kill", precision, i), so that every call of
this script kills at the same shares of T and the study cannot end before the last kill. Then
`yolograft compare --resume` finishes it.

Equal means: SHA-256 of the tensors of every final model, the stored detections and matches, and every
score and learning curve (times and memory apart) are those of the unbroken run. A class of the user's own
is tested with `--graft my_att.py::MyAtt@neck.p3`. Checkpoints are written at epoch ends, at least
`--checkpoint-seconds` apart (default: as the product does).

Prints one JSON document; `kills` says where each one hit (optimiser steps in the newest checkpoint of each
arm, then and at the start). Exit code 1 if anything differs. It needs POSIX signals.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from yolograft import rng
from yolograft.cli.app import run as run_command
from yolograft.cli.progress import TerminalProgress
from yolograft.engine.checkpoint import read_json
from yolograft.engine.device import environment
from yolograft.engine.recipe import Recipe
from yolograft.engine.runfolder import LOCK
from yolograft.engine.train import Settings
from yolograft.graph.expr import parse_graft
from yolograft.models.codebook import from_files, from_grafts
from yolograft.study.planning.create import create_study
from yolograft.study.planning.manifest import code_hashes, read_manifest
from yolograft.study.planning.plan import Plan
from yolograft.study.run import Execution, run_study

NOT_COMPARED = ("seconds", "images_per_second", "process_peak_mb", "environment")


def code_files(graft: str) -> list[str]:
    """Files of the user's own that an expression names."""
    modules = [term.ref.module for term in parse_graft(graft).terms]
    return sorted({module.rpartition("::")[0] for module in modules if "::" in module})


def plan_study(arguments: argparse.Namespace, precision: str) -> Path:
    """A run folder with its manifest, nothing trained."""
    size, item = arguments.imgsz, parse_graft(arguments.graft)
    recipe = Recipe.model_validate(
        {"epochs": arguments.epochs, "batch": arguments.batch, "imgsz": (size, size), "precision": precision}
    )
    plan = Plan(
        kind="compare",
        model=arguments.model,
        data=arguments.data,
        grafts=(item,),
        seeds=tuple(range(arguments.seeds)),
        recipe=recipe,
        device=arguments.device,
    )
    return create_study(plan, base=Path(arguments.folder), name=precision, code=from_grafts([item]))


def child(run: Path, arguments: argparse.Namespace) -> subprocess.Popen[bytes]:
    """A process that goes on with a study."""
    words = [sys.executable, __file__, "--run", str(run), "--graft", arguments.graft]
    words += ["--checkpoint-seconds", str(arguments.checkpoint_seconds), "--threads", str(arguments.threads)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL)


def go_on(arguments: argparse.Namespace) -> None:
    """What the child process does: the study of `--run`, from where it stands."""
    run = Path(arguments.run)
    manifest = read_manifest(run)
    code = from_files(code_hashes(manifest), code_files(arguments.graft))
    settings = Settings(device=manifest["device"], checkpoint_seconds=arguments.checkpoint_seconds)
    with TerminalProgress() as progress:
        run_study(run, code=code, execution=Execution(settings), progress=progress)


def wait_until_it_works(run: Path, process: subprocess.Popen[bytes]) -> float:
    """The time at which the process holds the run folder.

    Raises:
        SystemExit: it ended before.
    """
    while process.poll() is None:
        try:
            if json.loads((run / LOCK).read_text(encoding="utf-8"))["pid"] == process.pid:
                return time.monotonic()
        except (OSError, ValueError):
            pass
        time.sleep(0.02)
    raise SystemExit("a run failed")


def standing(run: Path) -> dict[str, str]:
    """Every arm and seed and how far it is: steps in its newest checkpoint, or done."""
    found = {}
    for folder in sorted(run.glob("arms/*/seed-*")):
        steps = [int(p.name.removeprefix("step-")) for p in folder.glob("checkpoints/step-*")]
        done = (folder / "scores.json").exists()
        found[f"{folder.parent.name} {folder.name}"] = "done" if done else f"step {max(steps, default=0)}"
    return found


def fingerprint(run: Path) -> dict[str, str]:
    """Hashes of everything a finished study stores that time does not shape."""
    prints = {}
    for folder in sorted(run.glob("arms/*/seed-*")):
        name = f"{folder.parent.name} {folder.name}"
        for file in ("model/tensors.safetensors", "matches.npz", "detections.npz"):
            if (folder / file).exists():
                prints[f"{name} {file}"] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        scores = {k: v for k, v in read_json(folder / "scores.json").items() if k not in NOT_COMPARED}
        text = json.dumps(scores, sort_keys=True)
        prints[f"{name} scores"] = hashlib.sha256(text.encode()).hexdigest()
    return prints


def killed(run: Path, seconds: float, arguments: argparse.Namespace, precision: str) -> list[dict[str, Any]]:
    """Kill the study as often as asked; where each kill hit."""
    kills = []
    for number in range(arguments.kills):
        share = float(rng.stream("kill", precision, number).uniform(0.1, 0.8))
        before, delay = standing(run), share * seconds / arguments.kills
        process = child(run, arguments)
        wait_until_it_works(run, process)
        time.sleep(delay)
        alive = process.poll() is None
        process.kill()
        process.wait()
        kills.append(
            {
                "after_seconds": round(delay, 2),
                "hit": alive and process.returncode == -signal.SIGKILL,
                "before": before,
                "then": standing(run),
            }
        )
    return kills


def compare_one(arguments: argparse.Namespace, precision: str) -> dict[str, Any]:
    """One precision: unbroken, then killed and resumed, then compared."""
    whole, pieces = plan_study(arguments, precision), plan_study(arguments, precision)
    process = child(whole, arguments)
    began = wait_until_it_works(whole, process)
    if process.wait():
        raise SystemExit("the unbroken run failed")
    seconds = time.monotonic() - began
    kills = killed(pieces, seconds, arguments, precision)
    code = [word for file in code_files(arguments.graft) for word in ("--code", file)]
    with contextlib.redirect_stdout(sys.stderr):
        resumed = run_command(["compare", "--resume", str(pieces), *code])
    one, other = fingerprint(whole), fingerprint(pieces) if resumed == 0 else {}
    return {
        "unbroken_seconds": round(seconds, 1),
        "kills": kills,
        "kills_that_hit": sum(kill["hit"] for kill in kills),
        "compared": len(one),
        "different": sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key)),
        "equal": one == other and all(kill["hit"] for kill in kills),
        "models": {key.rpartition(" ")[0]: value for key, value in one.items() if "tensors" in key},
    }


def main() -> None:
    """Read the options; kill, resume, compare and print; or be the process that is killed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--model", default="yolov8n")
    parser.add_argument("--graft", default="coord_att@neck.p3,neck.p4,neck.p5")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--precision", nargs="+", choices=("fp32", "bf16"), default=["fp32"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--checkpoint-seconds", type=float, default=Settings().checkpoint_seconds)
    parser.add_argument("--folder", default="", help="where run folders go; a temporary folder when left out")
    parser.add_argument("--run", default="", help="go on with this run folder (what the killed process does)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.run:
        go_on(arguments)
        return
    with tempfile.TemporaryDirectory() as scratch:
        arguments.folder = arguments.folder or scratch
        found = {precision: compare_one(arguments, precision) for precision in arguments.precision}
    load = os.getloadavg()[0]
    print(
        json.dumps(
            {**found, "load_average": load, "environment": environment(arguments.device, ", ".join(found))},
            indent=1,
        )
    )
    sys.exit(0 if all(result["equal"] for result in found.values()) else 1)


if __name__ == "__main__":
    main()
