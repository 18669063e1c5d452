import io

import pandas as pd
import pytest

from medgan.report.tables import OR_REASON, SIGNED, VALUE, Column, Table, print_text
from medgan.stats.bootstrap import Estimate

AREA = Estimate(0.85, 0.8, 0.9)
NONE = Estimate(None, reason="one class")
TABLE = Table(
    ("Detector", "AUROC", Column("Gap", SIGNED, 2), Column("n", VALUE, 0), Column("F1", OR_REASON)),
    [["bigan\nsees normals", AREA, Estimate(-0.1), 160, AREA], ["a|b", None, None, None, NONE]],
    "Detectors",
)


def test_cells_are_written_by_their_columns():
    assert TABLE.texts == [
        ["bigan\nsees normals", "0.850 [0.800, 0.900]", "-0.10", "160", "0.850 [0.800, 0.900]"],
        ["a|b", "–", "–", "–", "– one class"],
    ]


def test_markdown_escapes_bars_and_keeps_remarks():
    head, rule, first, second = TABLE.markdown().splitlines()
    assert head == "| Detector | AUROC | Gap | n | F1 |"
    assert rule == "| --- | --- | --- | --- | --- |"
    assert first.startswith("| bigan<br>sees normals | 0.850 [0.800, 0.900] |")
    assert second.startswith("| a\\|b | – |")
    assert Table(("a",), []).markdown() == ""


def test_csv_has_the_bare_values_and_bounds():
    read = pd.read_csv(io.StringIO(TABLE.csv()))
    assert list(read.columns[:4]) == ["Detector", "AUROC", "AUROC_low", "AUROC_high"]
    assert read["AUROC_high"].tolist()[0] == 0.9
    assert read["AUROC"].isna().tolist() == [False, True]


def test_text_has_a_width_and_no_markup():
    text = print_text([TABLE, "A [bold]sentence[/bold] after it."], 60)
    assert max(map(len, text.splitlines())) <= 60
    assert text.startswith("Detectors")
    assert "A [bold]sentence[/bold] after it." in text


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_long_name_never_cuts_a_number(width):
    columns = ("", Column("count"), Column("details", text=True))
    names = ["left out: NOT_AN_IMAGE: it is no image of a scan but a screen save", "files seen"]
    details = "healthy/patient0001/localizer.dcm, healthy/patient0002/localizer.dcm"
    text = print_text([Table(columns, [[name, "123,456", details] for name in names])], width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("123,456") == 2
    assert "NOT_AN_IMAGE" in text
    assert "count" in text
