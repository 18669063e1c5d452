"""Labels and names from data, as file names and as cells of spreadsheets."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgan.datasets.parts import parts_of
from medgan.datasets.tables import CSVDataset
from medgan.files.names import LONGEST, as_cells, from_cells, slug
from medgan.pipelines.outputs import Trained
from medgan.report.tables import Column, Table

PLAIN = ("normal", "covid-19", "bigan", "gan_classical", "immature_granulocytes", "röntgen", "v1.2")
STRANGE = ("../../etc/passwd", "a/b", "a\\b", "a:b", ".hidden", "-rf", "", " ", "\0", "x" * 300)
TEXTS = st.one_of(
    st.text(alphabet=st.characters(codec=None), max_size=60),
    st.text(alphabet="aAéÉ./\\_-:\u0301 ", max_size=8),
    st.sampled_from([*PLAIN, *STRANGE, "胸" * 200, "ß", "ss", "e\u0301", "\ud800"]),
)
FORMULAS = (
    *(
        "a\r=1",
        "=1+1",
        "=HYPERLINK(0)",
        "+cmd|' /C calc'!A0",
        "-rf.png",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
    ),
    *("'=1", "''-x", "-", "-1+2", "＝1+1"),
)
HARMLESS = ("", "'", "'a", "a=1", "-1.5", "+2e-3", "-.5", "normal", " =1", "٠")


@settings(max_examples=500, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=20, unique=True))
def test_f51_a_slug_is_a_file_name_and_unique(texts: list[str]) -> None:
    names = [slug(text) for text in texts]
    for name in names:
        assert name
        assert 0 < len(name.encode()) <= LONGEST
        assert not set(name) & set('/\\:*?"<>|\0 ')
        assert not name.startswith((".", "-"))
        assert Path("folder", name).parent == Path("folder")
    assert len({name.casefold() for name in names}) == len(texts), "also where case is ignored"


@pytest.mark.parametrize("text", PLAIN)
def test_a_plain_name_stays_as_it_is(text: str) -> None:
    assert slug(text) == text


def test_a_name_that_looks_like_the_slug_of_another_gets_a_slug_of_its_own() -> None:
    for text in STRANGE:
        assert slug(slug(text)) != slug(text)


def cells(content: str) -> list[str]:
    """All cells of a CSV file as text, the headings included."""
    table = pd.read_csv(io.StringIO(content), dtype=str, keep_default_na=False, header=None)
    return [str(cell) for cell in table.to_numpy().ravel()]


def saved(table: pd.DataFrame, folder: Path) -> tuple[str, pd.DataFrame]:
    """Content of the file that the catalog writes, and what it loads."""
    text = {"dtype": str, "keep_default_na": False}
    dataset = CSVDataset(filepath=str(folder / "a.csv"), save_args={"index": False}, load_args=text)
    dataset.save(table)
    return (folder / "a.csv").read_bytes().decode(), dataset.load()


def part(table: pd.DataFrame, folder: Path) -> tuple[str, pd.DataFrame]:
    """The same of a part of a folder."""
    curves = next(one for one in parts_of(Trained) if one.name == "curves")
    curves.format.write(curves, table, folder / "a.csv")
    found = curves.format.read(curves, folder / "a.csv")
    return (folder / "a.csv").read_bytes().decode(), found


@pytest.mark.parametrize("write", [saved, part])
@pytest.mark.parametrize("text", FORMULAS)
def test_f51_no_cell_of_a_table_is_a_formula(write, text: str, tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"path": [text, "b"], text: ["x", text], "kind": pd.Categorical([text] * 2)}
    )
    content, loaded = write(table, tmp_path)
    written = cells(content)
    assert not [cell for cell in written if cell.startswith(tuple("=+-@\t\r\n＝"))]
    assert loaded.columns.tolist() == table.columns.tolist()
    assert loaded.astype(str).equals(table.astype(str))


def test_f51_no_cell_of_a_table_of_the_report_is_a_formula() -> None:
    table = Table(["model", Column("found", text=True)], [["=1+1", "@x"], ["-rf", "-2"]])
    assert cells(table.csv()) == ["model", "found", "'=1+1", "'@x", "'-rf", "-2"]


@pytest.mark.parametrize("text", HARMLESS)
def test_a_harmless_text_and_a_number_stay_as_they_are(text: str) -> None:
    table = pd.DataFrame(
        {
            "a": [text, None],
            "n": [-1.5, float("nan")],
            "m": [-1, 1],
            "x": [-3, "-4"],
            "b": [True] * 2,
        }
    )
    assert as_cells(table).equals(table)
    assert as_cells(table).dtypes.equals(table.dtypes)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="'=+-@\t\r\n1.ea", max_size=6))
def test_a_reader_gets_every_text_back(text: str) -> None:
    table = pd.DataFrame({"a": [text]}, dtype=object)
    written = as_cells(table)
    assert from_cells(written)["a"].tolist() == [text]
    (cell,) = written["a"]
    assert not cell.startswith(tuple("=+-@\t\r\n")) or cell.lstrip("+-")[:1] in "1."
