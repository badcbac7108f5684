"""`yolograft report RUN`: everything again from the run folder, with the dataset or without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from test_study_verdicts import planned, scored

from yolograft.cli.app import run as command


def test_report_and_tables_are_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = planned(tmp_path, "se@neck.p3")
    assert command(["report", str(study), "--lang", "zh"]) == 0
    page = (study / "report.html").read_text(encoding="utf-8")
    assert 'lang="zh-Hans"' in page and "实验尚未完成" in page
    assert "report.html" in capsys.readouterr().out
    names = {path.name for path in (study / "tables").iterdir()}
    texts = {
        f"{name}.{lang}.{kind}"
        for name in ("ablation", "methods")
        for lang in ("en", "zh")
        for kind in ("md", "tex")
    }
    assert names == texts | {"citations.bib", "figures"}

    scored(study, "baseline", (20.0, 20.4, 19.8))
    scored(study, "se-neck.p3", (40.0, 40.3, 39.9))
    # The scores stand without their detections: a study whose data are gone has no pictures either.
    manifest = json.loads((study / "manifest.json").read_text(encoding="utf-8"))
    manifest["data"]["path"] = str(tmp_path / "gone")
    (study / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    shutil.rmtree(study / "tables")
    assert command(["report", str(study)]) == 0
    assert "without sample pictures" in capsys.readouterr().out
    assert "helps" in (study / "report.html").read_text(encoding="utf-8")
    assert "**40.1**" in (study / "tables" / "ablation.en.md").read_text(encoding="utf-8")


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["report", str(tmp_path)]) == 2
    assert "YG401" in capsys.readouterr().err
