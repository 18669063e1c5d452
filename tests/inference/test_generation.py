"""Sets of synthetic images: what is drawn, what is left out, and what is written."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from medgan.audits.release import CopyCheck
from medgan.cli.main import main
from medgan.errors import UserError
from medgan.files.integrity import require_intact
from medgan.images.synthetic import CARD, MANIFEST, PAGE, SyntheticImages
from medgan.inference import sets
from medgan.inference.data_card import data_card, page
from medgan.inference.generation import Drawn, JudgedGenerator, Request, draw, judged_generator
from medgan.inference.sets import generate_set
from medgan.project.artifacts import Project
from medgan.sources.arrays import NpzSource
from tests.inference.artifacts import leave_release, odd
from tests.pipelines.test_drawing import published

FORMS = ["sets", "set.zip", "set.npz"]


@pytest.fixture
def flag_every_third(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the check: about a third of the images, by their content."""
    monkeypatch.setattr(CopyCheck, "flags", lambda _, images: odd(images.numpy()))


@pytest.fixture
def released(trained: Path, flag_every_third: None) -> JudgedGenerator:
    return using(trained, True)


def using(root: Path, release: bool | None, name: str = "acgan") -> JudgedGenerator:
    project = Project(root)
    if release is not None:
        leave_release(root, project.published("phantoms", name), release, "phantoms")
    return judged_generator(project, project.environment("phantoms"), name)


def plain(name: str = "sngan") -> JudgedGenerator:
    """A generator that no pipeline has judged; rounding of sngan depends on the batch."""
    return JudgedGenerator("phantoms", "v1", published(name), "kedro run", "Apache-2.0")


def images_of(batches: Iterator[Drawn]) -> dict[tuple[str, int], np.ndarray]:
    return {(drawn.label, index): image for drawn in batches for index, image in drawn.kept()}


@pytest.mark.parametrize(
    ("classes", "count", "expected"),
    [
        ({}, 10, {"normal": 4, "bacterial": 3, "viral": 3}),
        ({"normal": 300, "viral": 700}, 1000, {"normal": 300, "viral": 700}),
        ({"normal": 0.25, "viral": 0.75}, 10, {"normal": 3, "viral": 7}),
        ({"viral": 1, "normal": 0}, 7, {"viral": 7}),
        ({"normal": 1e-9, "viral": 1}, 7, {"viral": 7}),
    ],
)
def test_the_count_is_divided_among_the_classes(
    classes: dict[str, float], count: int, expected: dict[str, int]
) -> None:
    assert Request(count, classes).wanted(published("acgan")) == expected


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Request(0), "generate.count is 0; give a number from 1"),
        (lambda: Request(truncation=float("nan")), "generate.truncation is nan"),
        (lambda: Request(seed=-1), "generate.seed is -1"),
        (lambda: Request(classes={"normal": 0.0}), "not all of them 0"),
        (lambda: Request(classes={"normal": float("nan")}), "numbers from 0 on"),
        (lambda: Request(classes={"normal": -1.0, "viral": 2.0}), "numbers from 0 on"),
        (lambda: Request(classes={"vira": 1.0}).wanted(published("acgan")), "did you mean 'viral'"),
        (lambda: Request(classes={"viral": 1.0}).wanted(published("dcgan")), "use one of normal"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    make: Callable[[], object], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        make()


@pytest.mark.parametrize("name", ["acgan", "sngan"])
def test_the_batch_size_changes_no_image(name: str) -> None:
    using = plain(name)
    expected = images_of(draw(using, Request(40, seed=5, batch_size=40)))
    for batch_size in (1, 7, 100):
        found = images_of(draw(using, Request(40, seed=5, batch_size=batch_size)))
        assert found.keys() == expected.keys()
        assert all((found[key] == image).all() for key, image in expected.items())


def test_more_images_and_other_classes_change_no_image() -> None:
    few = images_of(draw(plain("acgan"), Request(20, {"viral": 1.0})))
    many = images_of(draw(plain("acgan"), Request(90)))
    assert few.keys() <= many.keys()
    assert all((few[key] == many[key]).all() for key in few)


@pytest.mark.parametrize("batch_size", [1, 9, 300])
def test_flagged_images_are_replaced_by_the_next_ones(
    released: JudgedGenerator, batch_size: int
) -> None:
    batches = list(draw(released, Request(30, batch_size=batch_size)))
    plain = JudgedGenerator("phantoms", "v1", released.published, "", "")
    everything = images_of(draw(plain, Request(300)))
    for label in ("normal", "bacterial", "viral"):
        good = [
            index
            for (name, index), image in everything.items()
            if name == label and not odd(np.float32(image)[None] / 127.5 - 1)[0]
        ]
        kept = [key[1] for key in images_of(iter(batches)) if key[0] == label]
        assert kept == good[:10]
    assert 0 < sum(drawn.n_flagged for drawn in batches) < 60


def test_a_generator_of_copies_is_given_up(
    released: JudgedGenerator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(CopyCheck, "flags", lambda _, images: np.ones(len(images), bool))
    with pytest.raises(UserError, match="are suspected copies of training images: nothing was"):
        generate_set(released, Request(6), tmp_path / "set.zip")
    assert not list(tmp_path.glob("*set*"))


def read_zip(path: Path) -> tuple[str, dict[str, bytes]]:
    with zipfile.ZipFile(path) as packed:
        root = {name.partition("/")[0] for name in packed.namelist()}
        assert len(root) == 1
        files = {name.partition("/")[2]: packed.read(name) for name in packed.namelist()}
    return root.pop(), files


def test_a_released_set_says_where_its_images_come_from(
    released: JudgedGenerator, tmp_path: Path
) -> None:
    request = Request(30, {"normal": 10, "viral": 20}, seed=4, truncation=1.5, batch_size=8)
    path, card = generate_set(released, request, tmp_path / "set.zip")
    assert path == tmp_path / "set.zip"
    root, files = read_zip(path)
    assert root == card.name
    assert "unreleased" not in root
    table = pd.read_csv(io.BytesIO(files[MANIFEST]), keep_default_na=False)
    kept = table[table["file"] != ""]
    assert kept["class"].value_counts().to_dict() == {"normal": 10, "viral": 20}
    assert set(files) == {MANIFEST, CARD, PAGE, *kept["file"]}
    assert card.n_flagged == (table["file"] == "").sum() > 0
    assert (table["flagged"] == (table["file"] == "")).all()
    assert table["key"].unique() == [released.published.key]
    assert (table["seed"].unique(), table["truncation"].unique()) == ([4], [1.5])
    drawn = images_of(draw(released, request))
    for file, label, index in kept[["file", "class", "index"]].itertuples(index=False):
        with Image.open(io.BytesIO(files[file])) as picture:
            np.testing.assert_array_equal(np.asarray(picture), drawn[label, index][:, :, 0])
            said = picture.text["Description"]  # type: ignore[attr-defined]
        assert said.startswith("Synthetic image. Not a medical device")
        assert f"{released.published.key}, seed 4, class {label}, index {index}." in said
    stored = json.loads(files[CARD])
    assert stored["released"] is True
    assert stored["verdict"]["rules"][0]["n"] == 200
    assert stored["n_flagged"] == card.n_flagged
    text = files[PAGE].decode()
    assert "NOT RELEASED" not in text
    assert "At most 2% of the images are copies; 1% are." in text
    assert "Not a medical device" in text
    assert "It was judged on few images." in text
    assert "Apache-2.0" in text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("release", "reason"),
    [(False, "rule copy_rate: At most 2% of the images are copies; 5% are"), (None, "not judged")],
)
def test_an_unreleased_set_is_refused_or_says_so_everywhere(
    trained: Path, flag_every_third: None, form: str, release: bool | None, reason: str
) -> None:
    found, output = using(trained, release), trained / "out" / form
    with pytest.raises(UserError, match=f"acgan is not released on phantoms: .*{reason}"):
        generate_set(found, Request(6), output)
    assert not output.parent.exists()
    path, card = generate_set(found, Request(6), output, unreleased=True)
    assert path.name.removesuffix(output.suffix).endswith("unreleased")
    assert card.name.endswith("unreleased")
    assert card.marked.startswith("Synthetic image. NOT RELEASED: ")
    assert (card.n_flagged is None) == (release is None)
    assert "**NOT RELEASED: " in page(card)
    stored = SyntheticImages(path)
    assert not stored.released
    assert reason in stored.card["refusal"]
    if path.suffix == ".zip":
        pictures = [data for name, data in read_zip(path)[1].items() if name.endswith(".png")]
        assert len(pictures) == 6
        for data in pictures:
            with Image.open(io.BytesIO(data)) as picture:
                assert "NOT RELEASED" in picture.text["Description"]  # type: ignore[attr-defined]


def test_a_verdict_of_another_version_does_not_count(
    trained: Path, republish: Callable[[Path, str], object]
) -> None:
    assert using(trained, True).refusal == ""
    republish(trained, "acgan")
    found = using(trained, None)
    assert "this version of it was not judged (`kedro run --pipeline synthesis`" in found.refusal
    assert found.check is None


def test_a_folder_holds_sets_beside_each_other(released: JudgedGenerator, tmp_path: Path) -> None:
    path, card = generate_set(released, Request(6), tmp_path / "sets")
    assert path == tmp_path / "sets" / card.name
    require_intact(path)
    assert len(list(path.rglob("*.png"))) == 6
    (tmp_path / "file").write_text("")
    for place in ("file", "file/set.zip"):
        with pytest.raises(UserError, match=r"cannot be written \("):
            generate_set(released, Request(6), tmp_path / place)


def test_npz_is_read_as_a_file_of_medmnist(released: JudgedGenerator, tmp_path: Path) -> None:
    path, card = generate_set(released, Request(9, batch_size=2), tmp_path / "set.npz")
    source = NpzSource(str(path), dict(enumerate(card.classes))).open()
    assert source.rows()["category_raw"].value_counts().to_dict() == card.counts
    with np.load(path, allow_pickle=False) as stored:
        assert stored["train_images"].shape == (9, 32, 32)
        assert stored["test_images"].shape == (0, 32, 32)
        manifest = pd.read_csv(io.StringIO(str(stored["manifest"])), keep_default_na=False)
    assert (manifest["flagged"] == (manifest["file"] == "")).all()
    with pytest.raises(UserError, match="exists already: choose another"):
        generate_set(released, Request(9), path)


@pytest.mark.parametrize("form", FORMS)
def test_an_interrupted_set_leaves_nothing(
    released: JudgedGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    def interrupted(*arguments: object) -> Iterator[Drawn]:
        batches = draw(*arguments)  # type: ignore[arg-type]
        yield from (next(batches), next(batches))
        raise KeyboardInterrupt

    monkeypatch.setattr(sets, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate_set(released, Request(30, batch_size=4), tmp_path / "out" / form)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("form", FORMS)
def test_memory_does_not_grow_with_the_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    def noise(using: JudgedGenerator, request: Request) -> Iterator[Drawn]:
        rng = np.random.default_rng(0)
        for first in range(0, request.count, 16):
            yield Drawn("normal", first, rng.integers(0, 256, (16, 128, 128, 1), np.uint8), None)

    def peak(count: int) -> int:
        tracemalloc.start()
        request = Request(count, {"normal": 1})
        generate_set(large, request, tmp_path / str(count) / form, unreleased=True)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    monkeypatch.setattr(sets, "draw", noise)
    model = published("dcgan")
    large = replace(plain(), published=replace(model, card={"image_size": [128, 128]}))
    peak(16)
    assert peak(240) - peak(48) < 192 * 128 * 128 / 10


@pytest.fixture
def command(
    trained: Path, flag_every_third: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    (trained / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "medgan"\nproject_name = "medgan"\n'
        'kedro_init_version = "1.7.0"\n'
    )
    monkeypatch.chdir(trained)
    return lambda *words: CliRunner().invoke(main, ["generate", *words])


def test_the_command_writes_a_released_set(trained: Path, command: Callable[..., Result]) -> None:
    using(trained, True)
    done = command("acgan", "--count", "10", "--classes", "normal:3,viral:7", "-o", "set.zip")
    assert done.exit_code == 0, done.output
    assert "Wrote 10 images (normal 3, viral 7) to set.zip. Released. Suspected" in done.output
    assert len(SyntheticImages("set.zip")) == 10
    again = command("acgan", "--count", "3", "--classes", "viral", "-o", "viral.zip", "--json")
    card = json.loads(again.stdout)
    assert (card["path"], card["counts"], card["released"]) == ("viral.zip", {"viral": 3}, True)


def test_the_command_names_the_rule_and_writes_nothing(
    trained: Path, command: Callable[..., Result]
) -> None:
    using(trained, False)
    before = set(trained.iterdir())
    done = command("acgan", "--count", "3", "--output", "set.zip")
    assert done.exit_code == 1
    assert done.output.startswith("Error: acgan is not released on phantoms: rule copy_rate: At m")
    assert set(trained.iterdir()) == before
    done = command("acgan", "--count", "3", "--output", "set.zip", "--unreleased")
    assert done.exit_code == 0
    assert "to set-unreleased.zip. NOT RELEASED: rule copy_rate" in done.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("acgan", "--classes", "normal:x"), "`normal:x` is no class with its weight"),
        (
            ("acgan", "--classes", "normal:1, normal:2"),
            "normal is given twice: give each class once",
        ),
        (("autoencoder",), "autoencoder is no generator: use one of acgan, bigan"),
        (("acgn",), "There is no generator 'acgn': did you mean 'acgan'?"),
        (("bigan",), "bigan is not trained on phantoms: `kedro run --pipeline gan_training`"),
        (("acgan", "--truncation", "0"), "generate.truncation is 0.0; give a number from 0.01"),
    ],
)
def test_the_command_ends_with_one_sentence(
    command: Callable[..., Result], words: tuple[str, ...], sentence: str
) -> None:
    done = command(*words, "--output", "set.zip")
    assert done.exit_code in (1, 2)
    assert sentence in done.output
    assert "Traceback" not in done.output


def test_a_card_of_a_generator_without_quality_says_so() -> None:
    text = page(data_card(plain(), Request(3)))
    assert "Not measured." in text
    assert "Not judged: this version of it was not judged" in text
