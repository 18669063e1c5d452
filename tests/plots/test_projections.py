import base64
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medgan.plots.projections import SCORE, Projection, colorings, projections
from medgan.report.projections import ACROSS, projection_page, sheet
from tests.plots.test_detectors import drawn

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "image_id": [f"i{number}" for number in range(90)],
        "label": np.repeat([0, 1, 1], 30),
        "category": np.repeat(["normal", "bacterial", "viral"], 30),
        "split": np.tile(["train", "val", "test"], 30),
        "score": np.where(np.arange(90) % 3 == 0, np.nan, RNG.normal(size=90)),
    }
)
PLANES = {"pca": RNG.normal(size=(90, 2)), "tsne": RNG.normal(size=(90, 2)) * 50}
PIXELS = RNG.integers(0, 255, (90, 28, 20, 1), dtype=np.uint8)


def test_the_same_points_are_colored_by_everything_that_is_known():
    figure = projections(
        [Projection(name, points) for name, points in PLANES.items()], TABLE, "bigan", ["a note"]
    )
    _, *rows, _ = figure.subfigs
    assert [len(row.axes) for row in rows] == [2, 2, 2, 3]  # the last has a color bar
    assert [text.get_text() for text in rows[1].legends[0].get_texts()] == [
        "normal (30)",
        "bacterial (30)",
        "viral (30)",
    ]
    assert drawn(figure).size[0] > 0


@pytest.mark.parametrize("count", [1, 3])
def test_one_projection_or_three_take_their_place(count):
    planes = [
        Projection(f"method {number}", PLANES["pca"], "trustworthiness 0.9")
        for number in range(count)
    ]
    assert drawn(projections(planes, TABLE.drop(columns="score"), "x")).size[1] > 0


def test_no_projection_leaves_the_reasons():
    assert drawn(projections([], TABLE, "bigan", ["PCA not run: fewer than 10 images"])).size[0] > 0


def test_the_label_is_left_out_where_the_category_says_it():
    assert list(colorings(TABLE)) == ["label", "category", "split", SCORE]
    two = TABLE[TABLE["category"] != "viral"].drop(columns="score")
    assert list(colorings(two)) == ["category", "split"]


def page(table=TABLE, scores=None):
    given = {"bigan": TABLE["score"].to_numpy()} if scores is None else scores
    return projection_page(
        PIXELS,
        table,
        {"bigan": PLANES, "domain_features": PLANES},
        given,
        {"bigan": "a note"},
        "Features <of> x",
    )


def test_the_page_stands_alone():
    text = page()
    assert not re.search(
        r"""(src|href)\s*=\s*["']?(https?:)?//|@import|url\(|<link|<script\s+src|fetch\(|XMLHttpRequest""",
        text,
    )
    assert "Features &lt;of&gt; x" in text
    assert "medical" in text or "patient" in text
    assert len(text) < 400_000


def test_the_page_carries_every_point_and_its_image():
    data = json.loads(page().split("const data = ")[1].split(";\n")[0])
    assert data["ids"] == TABLE["image_id"].tolist()
    assert list(data["planes"]) == ["bigan", "domain_features"]
    assert all(
        0 <= value <= 1000
        for plane in data["planes"]["bigan"].values()
        for column in plane
        for value in column
    )
    assert data["scores"]["bigan"]["values"][0] is None
    assert data["scores"]["bigan"]["values"][1] == pytest.approx(TABLE["score"][1], rel=1e-3)
    kinds = data["colorings"]["category"]
    assert [kinds["names"][place] for place in kinds["values"]] == TABLE["category"].tolist()


def test_an_image_id_cannot_end_the_script():
    nasty = "</script><img src=x onerror=alert(1)>"
    text = page(TABLE.assign(image_id=[nasty, *TABLE["image_id"][1:]]))
    assert nasty not in text
    assert text.count("</script>") == 1
    assert json.loads(text.split("const data = ")[1].split(";\n")[0])["ids"][0] == nasty


@pytest.mark.parametrize(("shape", "size"), [((28, 20, 1), (20, 28)), ((128, 96, 3), (32, 42))])
def test_the_sheet_has_a_thumbnail_of_each_image_in_its_place(shape, size):
    pixels = np.zeros((43, *shape), dtype=np.uint8)
    pixels[41] = 200
    found = sheet(pixels)
    assert (found["width"], found["height"], found["across"]) == (*size, ACROSS)
    picture = np.asarray(
        Image.open(io.BytesIO(base64.b64decode(found["source"].split(",")[1]))).convert("L")
    )
    assert picture.shape == (2 * size[1], ACROSS * size[0])
    assert picture[size[1] + 2 : -2, size[0] + 2 : 2 * size[0] - 2].min() > 180
    assert picture[:, 2 * size[0] + 8 :].max() < 20


def test_a_page_without_features_is_still_a_page():
    text = projection_page(PIXELS[:0], TABLE.iloc[:0], {}, {}, {}, "x")
    assert "<h1>x</h1>" in text
