"""Validation images and classifiers that a score is read beside."""

from pathlib import Path

import numpy as np
import pytest

from medgan import models
from medgan.contracts import ImageSpec
from medgan.errors import UserError
from medgan.inference.references import classifier_of, references
from medgan.inference.trained import trained as load
from medgan.inference.trained import with_threshold
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Trained as Saved
from medgan.project.artifacts import Project
from tests.app.conftest import CLASSES, evaluated, trained  # noqa: F401
from tests.inference.artifacts import CURVES, leave, picture

NAME = "nearest_neighbour"


def test_references_are_validation_images_only(evaluated: Path) -> None:  # noqa: F811
    project = Project(evaluated)
    environment = project.environment("phantoms")
    using = with_threshold(project, environment, load(project, environment, NAME))
    found = references(project, using)
    scores = project.scores("phantoms", NAME)
    maps = project.anomaly_maps("phantoms", NAME)
    assert scores is not None
    assert maps is not None
    validation = scores[scores["split"] == "val"].reset_index(drop=True)
    assert 1 <= len(found) <= 4
    for case in found:
        place = int((validation["score"] - case.score).abs().argmin())
        assert validation["score"][place] == pytest.approx(case.score)
        row = int(validation["image_id"][place].removeprefix("image-"))
        np.testing.assert_array_equal(
            case.pixels, project.store("phantoms").read(np.array([row]))[0]
        )
        assert case.category == ("viral" if row == 7 else "normal")
        called = "positive" if using.frozen and case.score >= using.frozen.value else "negative"
        assert case.kind.endswith(called)
        assert case.anomaly_map is not None
    assert len({case.kind for case in found}) == len(found)


def test_without_an_evaluation_there_are_no_references(trained: Path) -> None:  # noqa: F811
    project = Project(trained)
    using = load(project, project.environment("phantoms"), NAME)
    assert references(project, using) == []
    assert classifier_of(project, using) is None


def test_the_classifier_is_of_the_same_images_and_evaluated(trained: Path) -> None:  # noqa: F811
    project = Project(trained)
    using = load(project, project.environment("phantoms"), NAME)
    module = models.load("classifier")
    spec = ImageSpec(32, 1, CLASSES)
    built = module.build(module.Config(), spec)
    for key in ("another", using.store.key):
        published = PublishedModel("classifier", {}, spec, built.state_dict(), {"images": key})
        leave(trained, "phantoms", "real.trained", Saved(published, CURVES, picture()))
        if key == "another":
            assert classifier_of(project, using) is None
    with pytest.raises(UserError, match="evaluation of real on phantoms is missing"):
        classifier_of(project, using)
