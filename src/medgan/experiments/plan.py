"""Read conf/experiments.yml: what is run on which dataset, declared before anything is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from yaml import YAMLError, safe_load

from medgan import models
from medgan.errors import UserError
from medgan.experiments.records import Parameters
from medgan.pipelines.arms import ARMS, BY_DEFAULT, GENERATOR
from medgan.project.environment import Environment
from medgan.project.given import given_parameters, written

FILE = "experiments.yml"
FOLD, MIX = "preprocessing.fold", "preprocessing.contamination"
REAL_SHARE = "preprocessing.real_share"
PREPARING = "preprocessing."
"""Prefix of parameters that change the images or the splits."""
OF_ARMS = ("gan_training", "synthesis", "classifier_training")
"""Pipelines of the classifier arms."""
INPUT = ("intensity", "window", "size", "channels", "crop")
"""Those of them that change what a model sees of an image."""
SHORTCUTS = "shortcuts"
"""The row of the shortcut baselines. It has one seed, since nothing is trained."""


def fold_name(model: str, fold: int) -> str:
    """`bigan-fold07`."""
    return f"{model}-fold{fold:02d}"


@dataclass(frozen=True)
class Variant:
    """A model or classifier arm with settings of its own, in a row of its own."""

    model: str
    parameters: dict[str, str | int | float | bool]
    """As `--params` takes them."""
    seeds: tuple[int, ...] | None = None
    """None: those of the experiment."""

    @property
    def prepares(self) -> bool:
        """Whether it changes the images or the splits."""
        return any(key.startswith(PREPARING) for key in self.parameters)

    @property
    def input(self) -> dict[str, str]:
        """What its images have of their own, by name: its row is compared with no other input."""
        told = {key.removeprefix(PREPARING): str(value) for key, value in self.parameters.items()}
        return {name: value for name, value in told.items() if name.split(".")[0] in INPUT}

    def shown(self, name: str) -> str:
        """Return the name of its row: `bigan (intensity: local)` for `bigan`."""
        told = "; ".join(f"{key}: {value}" for key, value in self.input.items())
        return f"{name} ({told})" if told else name


@dataclass(frozen=True)
class Published:
    """A result that others have published, and under which protocol."""

    method: str
    result: str
    protocol: str
    source: str


@dataclass(frozen=True)
class Aim:
    """What was hoped for, before."""

    auroc: float
    diagnosis: str = ""
    """Why it was missed, as far as known: the only words of the page that are written after the
    runs.
    """


@dataclass(frozen=True)
class Further:
    """More seeds for some of the rows."""

    rows: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """What is run on one dataset."""

    about: str
    """What the dataset is, in a line."""
    environment: str = ""
    """The environment of conf/, where it has another name than the experiment."""
    groups: str = "patient"
    """What the groups of the dataset are; they are never split, and intervals resample them."""
    seeds: tuple[int, ...] = (0,)
    further: Further = field(default_factory=Further)
    parameters: dict[str, str | int | float | bool] = field(default_factory=dict)
    """Of every run."""
    models: tuple[str, ...] = ()
    folds: int = 0
    """Small cohorts: each model is run on this many folds of `preprocessing.split:
    repeated_k_fold`, 25 being all; 0 for one split.
    """
    arms: bool | tuple[str, ...] = False
    """The classifier arms that are trained; true: those of the default run."""
    anomaly_types: bool = False
    """Whether there are several anomaly types to tell apart."""
    variants: dict[str, Variant] = field(default_factory=dict)
    tried: dict[str, Variant] = field(default_factory=dict)
    """Settings of detectors that were compared on validation alone, with seeds of their own; of
    their test images nothing is recorded.
    """
    ensembles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Name -> the rows whose trainings, of all seeds, score together."""
    aims: dict[Literal["normals", "mix"], Aim] = field(default_factory=dict)
    """What was hoped for of the GAN that validation chooses, from normal images alone and with the
    unlabelled mix.
    """
    published: tuple[Published, ...] = ()
    not_run: str = ""
    """Why nothing of it has been run, where that is so."""

    def page_of(self, name: str) -> str:
        """Return the page of docs/data-sets; that of the phantoms of conf/base is their own."""
        return name if self.environment in ("", "base") else self.environment

    def environment_in(self, conf: Path, name: str, **given: str) -> Environment:
        """Return the environment of its runs; `name` is that of the experiment."""
        parameters = given_parameters(written({**self.parameters, **given}))
        return Environment(conf, self.environment or name, parameters)

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The classifier arms, without their variants."""
        return (BY_DEFAULT if self.arms else ()) if isinstance(self.arms, bool) else self.arms

    def settings_of(self, name: str) -> frozenset[tuple[str, object]]:
        """The parameters of a row beyond those of the experiment."""
        return frozenset(self.variants[name].parameters.items() if name in self.variants else ())

    def as_dict(self) -> dict[str, Any]:
        """Return the whole declaration, defaults too."""
        return asdict(self)

    def names(self, seed: int | None = None) -> list[str]:
        """Return every row of a seed, also of one that was not declared; with None, of any seed.

        Seeds of variants belong to the variants alone.
        """
        varied = {**self.varied(), **self.tried}
        own = {other for variant in varied.values() for other in variant.seeds or ()}
        shared = seed not in own - set(self.seeds)
        plain, arms = (self.models, self.arm_names) if shared and not self.folds else ((), ())
        named = [*plain, *arms]
        for name, variant in varied.items():
            if seed is None or (seed in variant.seeds if variant.seeds else shared):
                named.append(name)
        if seed in (None, self.seeds[0]) and set(plain) & set(models.detectors()):
            named.append(SHORTCUTS)
        if seed in self.further.seeds:
            return [name for name in named if name in self.further.rows]
        return named

    def model_of(self, name: str) -> str:
        """Return the model of a row; of an ensemble, that of its first row."""
        name = self.ensembles.get(name, (name,))[0]
        return self.variants[name].model if name in self.variants else name

    def varied(self) -> dict[str, Variant]:
        """Return the variants, and every model on every fold."""
        folds = {
            fold_name(model, fold): Variant(model, {FOLD: fold})
            for fold in range(self.folds)
            for model in self.models
        }
        return {**self.variants, **folds}

    def all_seeds(self) -> list[int]:
        """Return the seeds of the experiment, of its variants and of what was tried."""
        varied = [*self.variants.values(), *self.tried.values()]
        own = {seed for variant in varied for seed in variant.seeds or ()}
        return sorted({*self.seeds, *self.further.seeds, *own})


@dataclass(frozen=True)
class Run:
    """One `kedro run`, and the records that it makes."""

    records: Mapping[str, str]
    """Name of the record -> the namespace that its results are in."""
    parameters: Parameters
    pipelines: tuple[str, ...]
    outputs: tuple[str, ...]
    validation_only: bool = False
    """Whether only what validation says is recorded: a setting is compared, not a row made."""

    @property
    def seed(self) -> int:
        """Of the run."""
        return int(self.parameters["seed"])

    def preparation(self) -> dict[str, Any]:
        """Return the parameters that decide the images and the splits."""
        given = self.parameters.items()
        return {key: one for key, one in given if key == "seed" or key.startswith(PREPARING)}


def read_experiments(conf: Path) -> dict[str, Experiment]:
    """Read dataset -> experiment, in the order of the file.

    Raises:
        UserError: there is no such file, or something in it is unknown or wrong.
    """
    path = conf / FILE
    adapter = TypeAdapter(dict[str, Experiment], config=ConfigDict(extra="forbid"))
    try:
        experiments = adapter.validate_python(safe_load(path.read_text(encoding="utf-8")))
    except (OSError, YAMLError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): it declares what is run for docs/results.md."
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(f"{path}: `{'.'.join(map(str, first['loc']))}`: {first['msg']}.") from None
    named = {name: _named_by_input(experiment) for name, experiment in experiments.items()}
    for name, experiment in named.items():
        for problem in _problems(experiment):
            raise UserError(f"{FILE}: {name} {problem}")
    return named


def _named_by_input(experiment: Experiment) -> Experiment:
    """Put the input of a row into its name, wherever the declaration names it."""
    declared = {**experiment.variants, **experiment.tried}
    shown = {name: variant.shown(name) for name, variant in declared.items()}
    own = set(shown) - set(experiment.models)  # a model keeps its name beside a variant of it
    rows = tuple(shown[row] if row in own else row for row in experiment.further.rows)
    ensembles = {
        name: tuple(shown[row] if row in own else row for row in of)
        for name, of in experiment.ensembles.items()
    }
    return replace(
        experiment,
        variants={shown[name]: one for name, one in experiment.variants.items()},
        tried={shown[name]: one for name, one in experiment.tried.items()},
        further=replace(experiment.further, rows=rows),
        ensembles=ensembles,
    )


def experiment_of(conf: Path, dataset: str) -> Experiment:
    """Read the experiment of a dataset. Raises `UserError` where none is declared."""
    experiments = read_experiments(conf)
    if dataset not in experiments:
        raise UserError(
            f"{FILE} declares no experiment on '{dataset}': use one of {', '.join(experiments)}, "
            "or add one."
        )
    return experiments[dataset]


def _problems(experiment: Experiment) -> Iterator[str]:
    """Yield what is named and does not exist, or not to that end; each completes `DATASET ...`."""
    known = {*models.names(), *ARMS}
    varied = [*experiment.variants.values(), *experiment.tried.values()]
    trained = [*experiment.models, *experiment.arm_names, *(variant.model for variant in varied)]
    for model in (model for model in trained if model not in known):
        yield (
            f"names the model or arm '{model}', which does not exist: use one of "
            f"{', '.join(sorted(known))}."
        )
    for model in sorted({one.model for one in experiment.tried.values()} - set(models.detectors())):
        yield (
            f"tries settings of '{model}', which scores no images: what is tried is compared by "
            "its validation AUROC."
        )
    names = experiment.names()
    use = f"which is none of its rows: use some of {', '.join(names)}."
    for row in (row for row in experiment.further.rows if row not in names):
        yield f"wants further seeds of '{row}', {use}"
    for row in sorted({row for rows in experiment.ensembles.values() for row in rows}):
        if row not in names:
            yield f"has an ensemble of '{row}', {use}"
    named = [*names, *experiment.ensembles]
    for name in (name for name in named if named.count(name) > 1):
        yield f"has two rows named '{name}': rename one of them."


def runs(experiment: Experiment, seed: int) -> Iterator[Run]:
    """Yield the runs of one seed, each after those that it needs: the arms take the synthetic
    images of their generator.
    """
    names = experiment.names(seed)
    parameters = {**experiment.parameters, "seed": seed}
    if SHORTCUTS in names:
        evaluation = ("anomaly_evaluation",)
        yield Run({SHORTCUTS: SHORTCUTS}, parameters, evaluation, ("shortcut_scores",))
    plain = {name: Variant(name, {}) for name in experiment.models}
    # The generator of the arms comes first, then the arms.
    if GENERATOR in plain and GENERATOR in names:
        yield _of_variant(experiment, parameters, GENERATOR, plain.pop(GENERATOR))
    arms = {arm: arm for arm in experiment.arm_names if arm in names}
    if arms:
        # Together, those of the default run are compared too.
        section = ("results.classifiers",) if tuple(arms) == BY_DEFAULT else ()
        outputs = (*(f"{arm}.classification" for arm in arms), *section)
        yield Run(arms, parameters, OF_ARMS, outputs)
    # Variants that change the splits come last, side by side, so that preparing is done once for
    # each change.
    varied = sorted(experiment.varied().items(), key=lambda item: item[1].prepares)
    for name, variant in [*plain.items(), *varied]:
        if name in names:
            yield _of_variant(experiment, parameters, name, variant)
    for name, variant in experiment.tried.items():
        if name in names:
            made = _of_variant(experiment, parameters, name, variant)
            evaluated = tuple(one for one in made.outputs if one.endswith(".evaluation"))
            yield replace(made, outputs=evaluated, validation_only=True)


def _of_variant(experiment: Experiment, shared: Parameters, name: str, variant: Variant) -> Run:
    model, settings = variant.model, {**shared, **variant.parameters}
    if model in ARMS:
        return Run({name: model}, settings, OF_ARMS, (f"{model}.classification",))
    wanted = {
        "evaluation": model in models.detectors(),
        "audit": experiment.anomaly_types and model in models.encoders(),
        "synthetic": model in models.synthesizers(),
    }
    outputs = tuple(f"{model}.{entry}" for entry, there in wanted.items() if there)
    pipelines = ("gan_training", "synthesis", "anomaly_evaluation")
    return Run({name: model}, settings, pipelines, outputs)
