"""Notebooks with their outputs, as pages in Markdown."""

from __future__ import annotations

import base64
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from notebooks.gallery.pictures import charts, small

PLOTLY = "application/vnd.plotly.v1+json"
WIDTH = 900
"""Most columns of a picture."""
PROJECT = ("conf", "notebooks", "src/medgan")
"""Folders that the notebooks need besides the data."""
PLOTS = "Interactive plots are pictures here."
START = 600
"""Seconds that a kernel may take to start."""
STYLE = re.compile(r"<style.*?</style>|\s(?:class|style|border)=\"[^\"]*\"", re.DOTALL)
ANSI = re.compile(r"\x1b\[[\d;]*m")
"""Colors of a terminal."""
FENCE = "```"

Cell = Mapping[str, Any]
Chart = Callable[[Mapping[str, Any]], bytes]
"""Draws a plotly figure as PNG."""


def pages(root: Path, dataset: str, about: str) -> dict[str, bytes]:
    """Run all notebooks; return the files of docs/notebooks by name."""
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder, charts() as chart:
        copy_project(root, Path(folder), dataset)
        for path in sorted((root / "notebooks").glob("*.ipynb")):
            executed = run(Path(folder), path)
            files |= page(path.stem, executed, about, chart)
    return files


def copy_project(root: Path, folder: Path, dataset: str) -> None:
    """Copy what the notebooks read, without settings of this machine."""
    for name in PROJECT:
        ignored = shutil.ignore_patterns("local", "__pycache__")
        shutil.copytree(root / name, folder / name, ignore=ignored)
    shutil.copy(root / "pyproject.toml", folder)
    for layer in sorted((root / "data").glob(f"*/{dataset}")):
        shutil.copytree(layer, folder / layer.relative_to(root))


def run(folder: Path, notebook: Path) -> list[Cell]:
    """Run a notebook in a project; return its cells, without the name of the project folder."""
    import papermill

    papermill.execute_notebook(
        str(folder / "notebooks" / notebook.name),
        str(folder / "executed.ipynb"),
        cwd=str(folder / "notebooks"),
        kernel_name="python3",
        start_timeout=START,
        progress_bar=False,
    )
    executed = (folder / "executed.ipynb").read_text(encoding="utf-8")
    cells: list[Cell] = json.loads(executed.replace(f"{folder}/", ""))["cells"]
    return cells


def page(name: str, cells: Sequence[Cell], about: str, chart: Chart) -> dict[str, bytes]:
    """Write a notebook in Markdown.

    Args:
        name: of the notebook.
        cells: as in the notebook's file, with their outputs.
        about: how the page was made; stands below the title.
        chart: draws interactive plots.

    Returns:
        The page and its pictures by their paths from the folder of the pages.
    """
    parts, pictures, said = list[str](), dict[str, bytes](), name
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            said = _spoken(source)
            parts.append(source)
            continue
        parts.append(f"{FENCE}python\n{source}\n{FENCE}")
        for output in cell["outputs"]:
            picture = _picture(output, chart)
            if picture is None:
                parts.extend(_text(output))
                continue
            path = f"images/{name}-{len(pictures) + 1}.webp"
            pictures[path] = small(picture, WIDTH)
            parts.append(f"![{said}]({path})")
    parts.insert(1, f"{about}\n\n{PLOTS}")
    return {f"{name}.md": ("\n\n".join(parts) + "\n").encode(), **pictures}


def _spoken(markdown: str) -> str:
    """The last paragraph in plain words, as the text of the pictures below it."""
    return re.sub(r"[#*`\[\]]", "", markdown.split("\n\n")[-1]).strip().rstrip(":.")


def _picture(output: Cell, chart: Chart) -> bytes | None:
    data = output.get("data", {})
    if PLOTLY in data:
        return chart(data[PLOTLY])
    return base64.b64decode("".join(data["image/png"])) if "image/png" in data else None


def _text(output: Cell) -> Iterator[str]:
    """A table as HTML, other text as a block; progress bars and warnings are left out."""
    if output.get("name") == "stderr":
        return
    data = output.get("data", {})
    table = "".join(data.get("text/html", ""))
    text = ANSI.sub("", "".join(output.get("text", data.get("text/plain", "")))).strip()
    if "<table" in table:
        lines = STYLE.sub("", table).splitlines()
        yield "\n".join(line.strip() for line in lines if line.strip())
    elif text:
        yield f"{FENCE}text\n{text}\n{FENCE}"
