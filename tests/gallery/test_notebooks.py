"""Rendered notebooks: how outputs become a page, and that the pages show the present notebooks."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from notebooks.gallery.notebooks import page
from PIL import Image

from tests.conftest import ROOT

PAGES = ROOT / "docs" / "notebooks"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CODE = re.compile(r"^```python\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
LARGEST = 1_500_000
"""Bytes of all pages and pictures together."""
TABLE = """<div><style scoped>
    .dataframe {color: red}
</style>
<table border="1" class="dataframe">
  <tr style="text-align: right;"><th colspan="2">AUROC</th></tr>

</table></div>"""


def png(width: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, 10), "white").save(stream, "PNG")
    return stream.getvalue()


def chart(figure: Mapping[str, Any]) -> bytes:
    assert figure == {"data": [], "layout": {}}
    return png(500)


def markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": [text]}


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def test_cells_and_outputs_become_a_page_in_their_order() -> None:
    image = base64.b64encode(png(2000)).decode()
    files = page(
        "Example",
        [
            markdown("# Data\n\nWhat `EDA` shows."),
            code("draw()", {"data": {"image/png": image, "text/plain": "<Image>"}}),
            markdown("The **same** in numbers:"),
            code(
                "%load x\nshow()",
                {"name": "stdout", "text": ["one\n", "two\n"]},
                {"name": "stderr", "text": ["100%|####|"]},
                {"data": {"text/html": TABLE, "text/plain": "AUROC"}},
                {"data": {"text/plain": ["\x1b[32m'no leak'\x1b[0m"]}},
                {
                    "data": {
                        "application/vnd.plotly.v1+json": {"data": [], "layout": {}},
                        "text/html": "<div>plot</div>",
                    }
                },
            ),
            code("quiet()"),
        ],
        "*Made yesterday.*",
        chart,
    )
    assert files.pop("Example.md").decode() == "\n\n".join(
        [
            "# Data\n\nWhat `EDA` shows.",
            "*Made yesterday.*\n\nInteractive plots are pictures here.",
            "```python\ndraw()\n```",
            "![What EDA shows](images/Example-1.webp)",
            "The **same** in numbers:",
            "```python\n%load x\nshow()\n```",
            "```text\none\ntwo\n```",
            '<div>\n<table>\n<tr><th colspan="2">AUROC</th></tr>\n</table></div>',
            "```text\n'no leak'\n```",
            "![The same in numbers](images/Example-2.webp)",
            "```python\nquiet()\n```\n",
        ]
    )
    sizes = {name: Image.open(io.BytesIO(picture)).size for name, picture in files.items()}
    assert sizes == {"images/Example-1.webp": (900, 4), "images/Example-2.webp": (500, 10)}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_shows_the_present_cells_of_its_notebook(notebook: Path) -> None:
    """Fails until `make gallery` has written the pages of a changed notebook."""
    shown = (PAGES / f"{notebook.stem}.md").read_text(encoding="utf-8")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = {
        kind: ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]
        for kind in ("code", "markdown")
    }
    assert CODE.findall(shown) == sources["code"]
    assert [one for one in sources["markdown"] if one not in shown] == []
    assert re.search(r"^\*Made on \d{4}-\d\d-\d\d by `make gallery` from the run of ", shown, re.M)
    assert f"](images/{notebook.stem}-1.webp)" in shown


def test_pages_and_pictures_are_those_of_the_notebooks_and_small() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {path.stem for path in NOTEBOOKS}
    shown = {
        PAGES / name
        for path in PAGES.glob("*.md")
        for name in re.findall(r"\]\((images/[^)]+)\)", path.read_text(encoding="utf-8"))
    }
    assert shown == set((PAGES / "images").iterdir())
    assert sum(path.stat().st_size for path in PAGES.rglob("*.*")) < LARGEST
