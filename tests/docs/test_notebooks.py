"""The quick start notebooks: written by their tool, the same code in both languages, and they run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat.validator import validate

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = {"en": "notebooks/quickstart.ipynb", "zh": "notebooks/quickstart.zh.ipynb"}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """`tools/notebooks.py` as a module."""
    spec = importlib.util.spec_from_file_location("notebooks_tool", ROOT / "tools" / "notebooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def read(lang: str) -> Any:
    return nbformat.read(ROOT / LANGUAGES[lang], as_version=4)


def test_they_are_what_the_tool_writes(tool: ModuleType, tmp_path: Path) -> None:
    assert tool.out_of_date(ROOT) == []
    assert tool.out_of_date(tmp_path) == list(LANGUAGES.values())
    (tmp_path / "notebooks").mkdir()
    documents = tool.documents()
    for file, text in documents.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert tool.out_of_date(tmp_path) == []
    file, text = next(iter(documents.items()))
    stored = text.replace('"outputs": []', '"outputs": [{}]', 1)
    (tmp_path / file).write_text(stored, encoding="utf-8")
    assert tool.out_of_date(tmp_path) == [file.as_posix()]


def test_code_is_the_same_and_text_is_not() -> None:
    english, chinese = (read(lang).cells for lang in ("en", "zh"))
    assert [cell.cell_type for cell in english] == [cell.cell_type for cell in chinese]
    for one, other in zip(english, chinese, strict=True):
        assert (one.source == other.source) == (one.cell_type == "code")
    assert all(not cell.outputs and cell.execution_count is None for cell in english if "outputs" in cell)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_runs_and_answers(lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = read(lang)
    validate(notebook)
    # The kernel inherits these; what it opens stays below the test's own folder.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # The interpreter of the tests, whatever kernels this machine has installed.
    kernel = AsyncKernelManager()
    kernel.kernel_spec_manager.ensure_native_kernel = True
    assert kernel.kernel_spec is not None
    kernel.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client = NotebookClient(notebook, km=kernel, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    said = {cell.id: "".join(map(_text, cell.outputs)) for cell in code}
    assert not [out for cell in code for out in cell.outputs if out.output_type == "error"]
    assert not any("Traceback" in text or "Warning" in text for text in said.values())
    answers = iter(said.values())
    assert next(answers) == ""
    for words in (
        "neck.p3          64 channels, stride 8",
        "+ neck.p3+coord_att: coord_att:reduction=16 reads neck.p3",
        "YG120 ",
        "Writing my_att.py",
        "ONNX",
        "160",
        "mine",
        "verdict: not enough seeds",
        "-> helps",
        "<iframe",
    ):
        assert words in next(answers)
    runs = list(tmp_path.glob("yolograft-*/runs/*/results.json"))
    assert len(runs) == 1


def _text(output: Any) -> str:
    """What one output says, as text."""
    if output.output_type == "stream":
        return output.text
    data = output.get("data", {})
    return data.get("text/html", "") + data.get("text/plain", "")
