"""conf/studies.yml: what is to be run on which data set, declared before anything is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from yaml import YAMLError, safe_load

from medgan import models
from medgan.errors import UserError
from medgan.pipelines.classifier_training.config import ARMS, SYNTHESIZER

FILE = "studies.yml"
FOLD, MIX = "preprocessing.fold", "preprocessing.contamination"
PREPARING = "preprocessing."
"""Parameters whose change means other images or other splits."""
SHORTCUTS = "shortcuts"
"""The row of what is no disease: border, exposure, size, what is recorded. One seed will do, since
nothing of it is trained.
"""


def fold_name(model: str, fold: int) -> str:
    """`bigan-fold07`."""
    return f"{model}-fold{fold:02d}"


@dataclass(frozen=True)
class Variant:
    """A model with settings of its own, in a row of its own."""

    model: str
    parameters: dict[str, str | int | float | bool]
    """As `--params` takes them."""
    seeds: tuple[int, ...] | None = None
    """None: those of the study."""


@dataclass(frozen=True)
class Published:
    """A figure that somebody else has published, and under which protocol."""

    method: str
    figure: str
    protocol: str
    source: str


@dataclass(frozen=True)
class Aim:
    """What was hoped for, before."""

    auroc: float
    diagnosis: str = ""
    """Why it was missed, as far as anybody knows: the only words of the page that are written after
    the runs.
    """


@dataclass(frozen=True)
class Further:
    """More seeds for some of the rows."""

    rows: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Study:
    """What is run on one data set."""

    about: str
    """What the data set is, in a line."""
    groups: str = "patient"
    """What is never split, and what intervals resample: what the data set's groups stand for."""
    seeds: tuple[int, ...] = (0,)
    further: Further = field(default_factory=Further)
    parameters: dict[str, str | int | float | bool] = field(default_factory=dict)
    """Of every run."""
    models: tuple[str, ...] = ()
    folds: int = 0
    """Small cohorts: each model is run on so many folds of `preprocessing.split: repeated_k_fold`,
    25 being all; 0 for one split.
    """
    arms: bool = False
    """Whether the classifier arms are trained."""
    kinds: bool = False
    """Whether there are kinds of anomalies to tell apart."""
    variants: dict[str, Variant] = field(default_factory=dict)
    tried: dict[str, Variant] = field(default_factory=dict)
    """Settings that were compared on validation alone, with seeds of their own; test images are
    never scored.
    """
    aims: dict[str, Aim] = field(default_factory=dict)
    """Row -> what was hoped for."""
    published: tuple[Published, ...] = ()
    not_run: str = ""
    """Why nothing of it has been run, where that is so."""

    def names(self, seed: int | None = None) -> list[str]:
        """Every row that a seed gives, also one that was not declared; with None, those of any
        seed. Seeds of variants are theirs alone.
        """
        varied = {**self.varied(), **self.tried}
        elsewhere = {other for variant in varied.values() for other in variant.seeds or ()} - set(
            self.seeds
        )
        shared = seed not in elsewhere
        plain = self.models if shared and not self.folds else ()
        arms = ARMS if self.arms and plain else ()
        audited = (
            [SHORTCUTS]
            if seed in (None, self.seeds[0]) and set(plain) & set(models.detectors())
            else []
        )
        of_seed = [
            name
            for name, variant in varied.items()
            if seed is None or (seed in variant.seeds if variant.seeds else shared)
        ]
        named = [*plain, *arms, *of_seed, *audited]
        return (
            [name for name in named if name in self.further.rows]
            if seed in self.further.seeds
            else named
        )

    def varied(self) -> dict[str, Variant]:
        """The variants, and every model on every fold."""
        folds = {
            fold_name(model, fold): Variant(model, {FOLD: fold})
            for fold in range(self.folds)
            for model in self.models
        }
        return {**self.variants, **folds}

    def all_seeds(self) -> list[int]:
        """Those of the study, of its variants and of what was tried."""
        varied = (
            variant.seeds or () for variant in [*self.variants.values(), *self.tried.values()]
        )
        return sorted(
            {*self.seeds, *self.further.seeds, *(seed for seeds in varied for seed in seeds)}
        )


@dataclass(frozen=True)
class Run:
    """One `kedro run`, and the records that it makes."""

    records: Mapping[str, str]
    """Name of the record -> the namespace that its figures are in."""
    parameters: Mapping[str, str | int | float | bool]
    pipelines: tuple[str, ...]
    outputs: tuple[str, ...]

    def preparation(self) -> dict[str, Any]:
        """What decides the images and the splits."""
        return {
            key: value
            for key, value in self.parameters.items()
            if key == "seed" or key.startswith(PREPARING)
        }


def read_studies(conf: Path) -> dict[str, Study]:
    """Data set -> study, in the order of the file.

    Raises:
        UserError: there is no such file, or something in it is unknown or wrong.
    """
    path = conf / FILE
    try:
        document = safe_load(path.read_text(encoding="utf-8"))
        studies = TypeAdapter(dict[str, Study], config=ConfigDict(extra="forbid")).validate_python(
            document
        )
    except (OSError, YAMLError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): it declares what is run for docs/results.md."
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(f"{path}: `{'.'.join(map(str, first['loc']))}`: {first['msg']}.") from None
    for name, study in studies.items():
        _require_known(name, study)
    return studies


def study_of(conf: Path, dataset: str) -> Study:
    """The study of a data set. Raises `UserError` where none is declared."""
    studies = read_studies(conf)
    if dataset not in studies:
        raise UserError(
            f"{FILE} declares no study of '{dataset}': use one of {', '.join(studies)}, or add one."
        )
    return studies[dataset]


def _require_known(dataset: str, study: Study) -> None:
    known = set(models.names())
    varied = (variant.model for variant in [*study.variants.values(), *study.tried.values()])
    wrong = next((model for model in [*study.models, *varied] if model not in known), None)
    if wrong is not None:
        raise UserError(
            f"{FILE}: {dataset} names the model '{wrong}', which does not exist: use one of {', '.join(sorted(known))}."
        )
    names = study.names()
    unknown = next((row for row in study.further.rows if row not in names), None)
    if unknown is not None:
        raise UserError(
            f"{FILE}: {dataset} wants further seeds of '{unknown}', which is none of its rows: use some of {', '.join(names)}."
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"{FILE}: {dataset} has two rows named '{twice}': name the variant otherwise."
        )


def runs(study: Study, seed: int) -> Iterator[Run]:
    """The runs of one seed, each after those that it needs: the arms take the synthetic images of
    their generator.
    """
    names = study.names(seed)
    if SHORTCUTS in names:
        yield Run(
            {SHORTCUTS: SHORTCUTS},
            {**study.parameters, "seed": seed},
            ("anomaly_evaluation",),
            ("shortcut_scores",),
        )
    if SYNTHESIZER in names:
        yield _of_model(study, seed, SYNTHESIZER, SYNTHESIZER, {})
    if set(ARMS) <= set(names):
        yield _of_arms(study, seed)
    yield from (
        _of_model(study, seed, name, name, {})
        for name in study.models
        if name in names and name != SYNTHESIZER
    )
    # Variants that change the splits come last, side by side: preparing is done once for each
    # change.
    varied = sorted(
        (item for item in study.varied().items() if item[0] in names),
        key=lambda item: _prepares(item[1]),
    )
    yield from (
        _of_model(study, seed, name, variant.model, variant.parameters) for name, variant in varied
    )
    yield from (
        _of_trial(study, seed, name, variant)
        for name, variant in study.tried.items()
        if name in names
    )


def _of_trial(study: Study, seed: int, name: str, variant: Variant) -> Run:
    parameters = {**study.parameters, **variant.parameters, "seed": seed}
    return Run(
        {name: variant.model}, parameters, ("gan_training",), (f"{variant.model}.published",)
    )


def _prepares(variant: Variant) -> bool:
    return any(key.startswith(PREPARING) for key in variant.parameters)


def _of_model(
    study: Study, seed: int, record: str, model: str, parameters: Mapping[str, Any]
) -> Run:
    outputs = [f"{model}.{kind}" for kind in _kinds(study, model)]
    pipelines = ("gan_training", "synthesis", "anomaly_evaluation")
    return Run(
        {record: model}, {**study.parameters, **parameters, "seed": seed}, pipelines, tuple(outputs)
    )


def _kinds(study: Study, model: str) -> list[str]:
    """The documents that tell what a model can do."""
    wanted = {
        "evaluation": model in models.detectors(),
        "test_scores": model in models.detectors(),
        "components": model in models.composed(),
        "categories": study.kinds and model in models.encoders(),
        "quality": model in models.synthesizers(),
    }
    return [kind for kind, there in wanted.items() if there]


def _of_arms(study: Study, seed: int) -> Run:
    outputs = [f"{arm}.{kind}" for arm in ARMS for kind in ("evaluation", "test_scores")]
    parameters = {**study.parameters, "seed": seed}
    pipelines = ("gan_training", "synthesis", "classifier_training")
    return Run({arm: arm for arm in ARMS}, parameters, pipelines, (*outputs, "results.classifiers"))
