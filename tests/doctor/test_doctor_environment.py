"""The environment check judges stated facts; each problem comes with the command that ends it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolograft.doctor import machine
from yolograft.doctor.environment import GIB, check_environment, judge
from yolograft.doctor.kernels import missing_kernels
from yolograft.doctor.machine import Facts, TorchFacts

TORCH = TorchFacts(version="2.15.0+cu132", cuda_build="13.2", threads=8, torchvision="0.29.2", wants="2.15.0")
HEALTHY = Facts(
    python=(3, 12, 4),
    requires_python="<3.15,>=3.11",
    torch=TORCH,
    opencv=("opencv-python-headless",),
    chinese_font="NotoSansCJK-Regular.ttc",
    free={"here": 50 * GIB},
    unwritable=(),
    memory=16 * GIB,
    cores=8,
)
OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver"
WHEEL = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")


def with_torch(**changes: object) -> Facts:
    return replace(HEALTHY, torch=replace(TORCH, **changes))


def test_a_healthy_machine_has_no_complaint() -> None:
    assert {row.status for row in judge(HEALTHY).rows} == {"pass"}
    # torch leaves out the second thread of a core by itself.
    for threads in (4, 8):
        assert judge(with_torch(threads=threads)).row("threads").status == "pass"


def test_threads_are_not_judged_without_torch() -> None:
    row = judge(with_torch(error="ImportError: libcudnn", threads=1)).row("threads")
    assert (row.status, row.key) == ("skipped", "after_torch")


@pytest.mark.parametrize(
    ("facts", "row", "key", "command"),
    [
        (replace(HEALTHY, python=(3, 10, 9)), "python", "python_unfit", "uv python install"),
        (replace(HEALTHY, python=(3, 15, 0)), "python", "python_unfit", "uv python install"),
        (with_torch(error="ImportError: libcudnn"), "torch", "torch_broken", "pip install"),
        (with_torch(driver=True, cuda_error=OLD), "torch", "driver_old", "NVIDIA driver"),
        (with_torch(driver=True, cuda_error="No CUDA GPUs are available"), "torch", "gpu_hidden", "--gpus"),
        (with_torch(driver=True), "torch", "gpu_hidden", "CUDA_VISIBLE_DEVICES"),
        (with_torch(driver=True, cuda_build=""), "torch", "cpu_build", "pip install"),
        (
            with_torch(gpus=(("GTX 1080", (6, 1)),), driver=True, arch_list=WHEEL),
            "gpu",
            "no_kernels",
            "--device cpu",
        ),
        (with_torch(wants="2.14.0"), "torchvision", "torchvision_other", '"torch==2.14.0"'),
        (
            with_torch(torchvision_error="RuntimeError: nms"),
            "torchvision",
            "torchvision_broken",
            "pip install",
        ),
        (
            replace(HEALTHY, opencv=("opencv-python", "opencv-python-headless")),
            "opencv",
            "two_opencv",
            "pip uninstall -y opencv-python &&",
        ),
        (replace(HEALTHY, opencv=()), "opencv", "no_opencv", "pip install opencv-python-headless"),
        (replace(HEALTHY, chinese_font=""), "font", "no_font", "fonts-noto-cjk"),
        (replace(HEALTHY, free={"here": 2 * GIB}), "disk", "disk_low", "--runs"),
        (replace(HEALTHY, free={"here": 1}), "disk", "disk_full", "--runs"),
        (replace(HEALTHY, unwritable=("here",)), "writable", "read_only", "--runs"),
        (replace(HEALTHY, memory=GIB), "memory", "memory_low", "--batch 4"),
        (with_torch(threads=3), "threads", "threads_other", "OMP_NUM_THREADS=8"),
        (with_torch(threads=9), "threads", "threads_other", "OMP_NUM_THREADS=8"),
        (
            replace(HEALTHY, missing_extras={"export": ("onnx",)}),
            "extra",
            "extra_missing",
            'pip install "yolograft[export]"',
        ),
    ],
)
def test_a_problem_is_named_with_its_command(facts: Facts, row: str, key: str, command: str) -> None:
    report = judge(facts)
    found = report.row(row)
    assert found.key == key and found.status != "pass"
    assert command in found.fix() and found.reason("zh") and found.fix("zh")
    # What does not stop a training does not fail the machine.
    soft = {"cpu_build", "gpu_hidden", "no_font", "disk_low", "memory_low", "threads_other", "extra_missing"}
    assert report.passed == (key in soft)


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ((8, 6), WHEEL, True),
        ((8, 9), WHEEL, True),  # machine code of the same major, a lower minor
        ((6, 1), WHEEL, False),  # Pascal under a wheel that begins with Turing
        ((7, 0), WHEEL, False),
        ((12, 1), WHEEL, True),
        ((13, 0), WHEEL, True),  # compiled from the intermediate text
        ((13, 0), ("sm_120",), False),
        ((9, 0), ("sm_90a",), True),
        ((9, 1), ("sm_90a",), False),
        ((10, 3), ("sm_100f",), True),
        ((11, 0), ("sm_100f",), False),
        ((8, 0), ("sm_86",), False),
        ((8, 0), (), True),  # a build for the CPU is judged elsewhere
        ((9, 0), ("gfx90a",), True),
    ],
)
def test_kernels_for_a_gpu(capability: tuple[int, int], built: tuple[str, ...], runs: bool) -> None:
    reason = missing_kernels(capability, built)
    assert (reason == "") == runs
    if not runs:
        assert f"compute capability {capability[0]}.{capability[1]}" in reason


@given(st.integers(5, 13), st.integers(0, 9))
def test_a_build_for_a_gpu_runs_on_it(major: int, minor: int) -> None:
    for name in (f"sm_{major}{minor}", f"sm_{major}{minor}a", f"compute_{major}{minor}"):
        assert missing_kernels((major, minor), [name]) == ""
        assert missing_kernels((major - 1, 9), [name])


def test_this_machine_is_read_without_changing_it(tmp_path: Path) -> None:
    report = check_environment(tmp_path / "runs" / "not" / "made")
    assert not (tmp_path / "runs").exists() and list(tmp_path.iterdir()) == []
    assert report.row("torchvision").status == "pass" and report.row("python").status == "pass"
    assert {"disk", "memory", "writable", "threads"} <= {row.name for row in report.rows}


def test_extras_are_read_from_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "torch>=2.8",
        "onnx>=1.20; extra == 'export'",
        'no-such.thing[x]>=1; extra == "loggers"',
        "none; extra == 'peers'",
    ]
    monkeypatch.setattr(machine.metadata, "requires", lambda package: lines)
    assert machine.missing_extras() == {"loggers": ("no-such.thing",)}


def test_a_container_counts_before_the_whole_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 4096 kB\n",
        "/sys/fs/cgroup/memory.max": "3000000\n",
        "/sys/fs/cgroup/memory.current": "1000000\n",
    }
    monkeypatch.setattr(Path, "read_text", lambda self, **_: texts[self.as_posix()])
    assert machine.available_memory() == 2_000_000
    texts["/sys/fs/cgroup/memory.max"] = "max\n"
    assert machine.available_memory() == 4096 * 1024
    monkeypatch.setattr(Path, "read_text", lambda self, **_: "")
    assert machine.available_memory() is None
