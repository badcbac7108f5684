"""``yolograft weights MODEL``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yolograft.cli.options import Output
from yolograft.cli.terminal import print_json, say

if TYPE_CHECKING:
    from yolograft.models.release import ReleaseFile

WORDS = {
    "en": {
        "pinned": "the official release, {licence}: its sha256 is the pinned one",
        "open": "no sha256 is pinned for this file: compare it with {url}",
    },
    "zh": {
        "pinned": "官方发布的文件，{licence}：sha256 与固定值一致",
        "open": "该文件没有固定的 sha256，请自行与 {url} 核对",
    },
}


def weights_(model: str, /, *, output: Output | None = None) -> None:
    """Find official weights, or say where they come from; the path alone goes to standard output.

    Looked for in $YOLOGRAFT_WEIGHTS, in the cache, then in the release: "$(yolograft weights yolox-s)"
    is a path for --weights.

    Parameters
    ----------
    model
        yolox-nano, yolox-tiny, yolox-s, yolox-m, yolox-l or yolox-x.
    """
    from yolograft.cli.download_bar import DownloadBar, remark
    from yolograft.data.shapes import cache_folder
    from yolograft.models.release import LICENCE, find_release

    output = output or Output()
    with DownloadBar(model) as bar:
        found = find_release(model, cache=cache_folder() / "weights", progress=bar.received)
    if output.json:
        print_json(_document(found))
        return
    words = WORDS[output.lang]["pinned" if found.pinned else "open"]
    remark(f"sha256 {found.sha256}")
    remark(words.format(licence=LICENCE, url=found.url))
    say(str(found.path))


def _document(found: ReleaseFile) -> dict[str, object]:
    from yolograft.models.release import LICENCE

    return {
        "model": found.model,
        "file": str(found.path),
        "sha256": found.sha256,
        "url": found.url,
        "pinned": found.pinned,
        "downloaded": found.downloaded,
        # A file put there by hand is not known to be the released one.
        "licence": LICENCE if found.pinned else "",
    }
