"""``kill -9`` at random moments, resume, and compare with an unbroken run, bit for bit.

    uv run python benchmarks/kill_resume.py --data path/to/dataset --precision fp32 --kills 5

A study of two arms (the baseline and a class of one's own from a file) is run once unbroken, then once for
each kill: started, killed with SIGKILL at a moment drawn from a counter, resumed, its models and detections
compared by SHA-256. Prints one JSON document; exit code 1 if any differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from yolograft import rng

MODULE = """
import torch
from torch import nn


class MyAtt(nn.Module):
    def __init__(self, channels, k=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, k, padding=k // 2, groups=channels)

    def forward(self, x):
        return x * torch.sigmoid(self.conv(x))
"""


def command(options: argparse.Namespace, folder: Path) -> list[str]:
    """The study, with a checkpoint after every epoch."""
    return [
        *(sys.executable, "-m", "yolograft", "compare", "yolov8n", "--data", options.data),
        *("--graft", f"{folder / 'my_att.py'}::MyAtt:k=5@neck.p3", "--seeds", "1"),
        *("--epochs", str(options.epochs), "--imgsz", str(options.imgsz), "--runs", str(folder)),
        *("--set", f"precision={options.precision}", "--checkpoint-seconds", "0"),
    ]


def resumed(run: Path, folder: Path) -> list[str]:
    """Going on with a stopped study; the class's file must be named again."""
    code = str(folder / "my_att.py")
    return [
        *(sys.executable, "-m", "yolograft", "compare", "--resume", str(run)),
        *("--code", code, "--checkpoint-seconds", "0"),
    ]


def digests(run: Path) -> dict[str, str]:
    """SHA-256 of every model and detection table of a run."""
    files = sorted(run.glob("arms/*/seed-*/model/tensors.safetensors")) + sorted(
        run.glob("arms/*/seed-*/detections.npz")
    )
    return {str(f.relative_to(run)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def quietly(words: list[str]) -> float:
    """Run to the end and return the seconds it took."""
    began = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def kill_once(options: argparse.Namespace, folder: Path, number: int, least: float, most: float) -> dict:
    """Start, kill at a random moment, resume; what happened and the digests."""
    before = {path.name for path in folder.glob("compare-*")}
    moment = float(rng.stream(options.seed, "kill", number).uniform(least, most))
    process = subprocess.Popen(command(options, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (run,) = (path for path in folder.glob("compare-*") if path.name not in before)
    steps = sorted(str(p.relative_to(run)) for p in run.glob("arms/*/seed-*/checkpoints/step-*"))
    quietly(resumed(run, folder))
    return {"killed_after_s": moment, "checkpoints_found": steps, "digests": digests(run)}


def main() -> None:
    """Run the study unbroken and broken, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--imgsz", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "my_att.py").write_text(MODULE, encoding="utf-8")
        whole = quietly(command(options, folder))
        (run,) = folder.glob("compare-*")
        expected = digests(run)
        broken = [kill_once(options, folder, n, 0.3 * whole, 0.95 * whole) for n in range(options.kills)]
    equal = sum(item["digests"] == expected for item in broken)
    for item in broken:
        item["equal"] = item.pop("digests") == expected
    result = {"precision": options.precision, "unbroken_s": whole, "files": len(expected)}
    print(json.dumps({**result, "equal": equal, "of": options.kills, "kills": broken}, indent=1))
    sys.exit(equal != options.kills)


if __name__ == "__main__":
    main()
