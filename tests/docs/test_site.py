"""The documentation site builds without a warning, works offline, and holds every page in both languages."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(file.name.split(".")[0] for file in (ROOT / "docs/modules").glob("*.zh.md"))
# What a browser fetches by itself; a link that a reader clicks is none of it.
FETCHED = re.compile(
    r"<(?:script|link|img|iframe|source|video)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>"
)
IMPORTED = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//")
FORMULA = re.compile(r"\$\$|\\frac|\\sigma|\\mathrm")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; the test is skipped without the dependency group `docs`."""
    for name in ("mkdocs", "material", "latex2mathml"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed: uv sync --group docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def page(site: Path, name: str) -> str:
    return (site / name / "index.html").read_text(encoding="utf-8")


def body(html: str) -> str:
    """The text of the page itself, code left out."""
    article = html[html.index("<article") : html.index("</article>")]
    return re.sub(r"<(pre|code)\b.*?</\1>", "", article, flags=re.DOTALL)


def test_every_module_has_its_page_in_both_languages(site: Path) -> None:
    assert "index" in MODULES and len(MODULES) > 10
    for name in MODULES:
        for built in (name, f"{name}.zh") if name != "index" else (".", "index.zh"):
            assert "<h1" in page(site, f"modules/{built}"), built


@pytest.mark.parametrize("suffix", ["", ".zh"])
def test_formulas_and_figures_are_there(site: Path, suffix: str) -> None:
    for name in set(MODULES) - {"index"}:
        text = body(page(site, f"modules/{name}{suffix}"))
        assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in text, name
        assert not FORMULA.search(text), name
        figure = re.search(r'<img[^>]*src="([^"]*\.svg)"', text)
        assert figure and (site / f"modules/{name}{suffix}" / figure[1]).resolve().is_file(), name


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for file in site.rglob("*.html"):
        assert not FETCHED.findall(file.read_text(encoding="utf-8")), file.name
    for file in site.rglob("*.css"):
        assert not IMPORTED.search(file.read_text(encoding="utf-8")), file.name
    assert FETCHED.search('<script async src="https://x.org/a.js"></script>')
    assert FETCHED.search("<link rel=stylesheet href=//fonts.x.org/css>")


@pytest.mark.parametrize("suffix", ["", ".zh"])
def test_every_message_has_an_anchor(site: Path, suffix: str) -> None:
    source = (ROOT / f"docs/errors{suffix}.md").read_text(encoding="utf-8")
    html = page(site, f"errors{suffix}")
    codes = re.findall(r"^### (YG\d{3})$", source, re.MULTILINE)
    assert len(codes) > 100 and all(f'id="{code.lower()}"' in html for code in codes)


def test_chinese_lines_join_without_a_space(site: Path) -> None:
    text = body(page(site, "recipes.zh"))
    assert not re.search(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]\n[\u4e00-\u9fff]", text)
    source = (ROOT / "docs/recipes.zh.md").read_text(encoding="utf-8")
    assert re.search(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]\n[\u4e00-\u9fff]", source)
    assert len(re.findall("<h2", text)) == len(re.findall("^## ", source, re.MULTILINE))
