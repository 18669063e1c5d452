"""The figures of the profile, on data sets that know much and that know nothing."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from medgan.images.config import PreprocessingConfig
from medgan.images.profile import profile
from medgan.images.resizing import Crop
from medgan.pipelines.ingestion.nodes import plot_duplicates, plot_sample
from medgan.pipelines.preprocessing.nodes import measure_cut
from medgan.plots.data_profile import profile_figure
from medgan.plots.grids import (
    CELL,
    DPI,
    Block,
    Copies,
    Sheet,
    contact_sheet,
    duplicate_sheet,
    shortened,
)
from medgan.sources.raw import Picture
from tests.images.test_profile import bare, full


class Noise:
    """Images of all shapes, grey and color."""

    name = "noise"

    def rows(self) -> pd.DataFrame:
        return pd.DataFrame()

    def read(self, path: str) -> Picture:
        rng = np.random.default_rng(len(path) + int(path.removesuffix(".png")))
        height, width = rng.integers(20, 90, 2)
        return Picture(
            rng.integers(0, 256, (height, width, int(rng.choice([1, 3]))), dtype=np.uint8)
        )

    def fingerprint(self, path: str) -> str:
        return path


def drawn(figure: Figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return Image.open(buffer)


def words(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def titles(figure: Figure) -> list[str]:
    return [axis.get_title(loc="left") for axis in figure.axes]


def many_classes(count: int = 45) -> pd.DataFrame:
    kinds = ["normal", *(f"finding_{number}" for number in range(14))]
    return full(count).assign(
        category=[kinds[number % 15] for number in range(count)],
        site=[f"hospital {n % 20}" for n in range(count)],
    )


DATA_SETS = {
    "two classes": full(60),
    "nothing known": bare(),
    "15 classes": many_classes(),
    "one class": full(30).assign(category="normal"),
    "a class with one image": full(30).assign(category=["rare", *["normal"] * 29]),
}


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_data_set_has_all_figures(name: str) -> None:
    manifest = DATA_SETS[name]
    config = PreprocessingConfig(size=32, channels=3, crop=Crop(top=0.1, centre=True))
    figures = [
        profile_figure(profile(manifest)),
        *plot_sample(Noise(), manifest, 0),
        plot_duplicates(
            Noise(),
            manifest.assign(pixel_hash=[f"h{number // 2}" for number in range(len(manifest))]),
        ),
        measure_cut(Noise(), manifest, config).what_was_cut_figure,
    ]
    for figure in figures:
        assert min(drawn(figure).size) > 40


def test_an_attribute_has_a_panel_where_it_is_known_and_differs() -> None:
    shown = titles(profile_figure(profile(full().assign(view="PA"))))
    assert [
        title for title in shown if title.startswith(("Sex", "Age", "Site", "View", "Split"))
    ] == [
        next(title for title in shown if title.startswith(start))
        for start in ("Sex", "Age in years", "Site")
    ]
    assert any("V = 1.00" in title for title in shown if title.startswith("Site"))
    assert " all PA" in words(profile_figure(profile(full().assign(view="PA"))))
    assert not any(
        title.startswith(("Sex", "Site")) for title in titles(profile_figure(profile(bare())))
    )


def test_the_flow_shows_every_reason() -> None:
    found = profile(
        full(10),
        pd.DataFrame({"path": ["a"], "code": ["CONSTANT"]}),
        pd.DataFrame({"path": ["b"], "reason": ["lateral_view"]}),
    )
    labels = [label.get_text() for label in profile_figure(found).axes[0].get_yticklabels()]
    assert labels == ["listed", "left out: lateral view", "quarantined: CONSTANT", "kept"]


def test_rare_values_share_a_column() -> None:
    figure = profile_figure(profile(many_classes()))
    site = next(axis for axis in figure.axes if axis.get_title(loc="left").startswith("Site"))
    assert [label.get_text() for label in site.get_xticklabels()][-1] == "12 others"
    assert len(site.get_xticklabels()) == 9


def test_a_sheet_has_its_pictures_to_the_pixel() -> None:
    sheet = Sheet(60, 40)
    picture = np.random.default_rng(0).integers(0, 256, (16, 10, 3), dtype=np.uint8)
    sheet.place(picture, 20, 10, 20)
    buffer = io.BytesIO()
    sheet.figure().savefig(buffer, format="png", dpi=DPI)
    seen = np.asarray(Image.open(buffer).convert("RGB"))
    assert seen.shape == (40, 60, 3)
    assert np.array_equal(seen[12:28, 25:35], picture)
    assert (seen[:10] == 255).all()


def test_every_picture_of_a_contact_sheet_has_its_id_and_its_class() -> None:
    pictures = [np.zeros((CELL, 40, 1), np.uint8)] * 11
    ids = [f"folder/image-{number}.png" for number in range(11)]
    figure = contact_sheet(
        [
            Block("normal: 10 of 10", pictures[:10], ids[:10]),
            Block("viral: 1 of 1", pictures[:1], ids[10:]),
        ],
        "sample",
    )
    assert {
        "normal: 10 of 10",
        "viral: 1 of 1",
        "sample",
        *(f"image-{number}.png" for number in range(11)),
    } == set(words(figure))


def test_copies_that_differ_are_said_to() -> None:
    picture = np.zeros((30, CELL, 3), np.uint8)
    pair = [picture, picture]
    captions = [["a", "normal", "p1", "train"], ["b", "viral", "p2", "train"]]
    figure = duplicate_sheet(
        [Copies(pair, captions, ["class", "patient"]), Copies(pair, captions, [])], "2 pictures"
    )
    assert {"differ in class, patient", "copies agree", "viral", "p2"} <= set(words(figure))


def test_long_ids_keep_their_ends() -> None:
    assert shortened("NORMAL2-IM-0095-0001.jpeg", 16) == "NORMA…-0001.jpeg"
    assert shortened("short", 16) == "short"
