"""Node that writes the report of a dataset and its CLAIM checklist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from medgan import __version__, models
from medgan.evaluation.details import ExternalResult, ExternalTests
from medgan.evaluation.reading import read_results
from medgan.evaluation.results import ClassifierResult, Results, Section, SynthesisResult
from medgan.files.documents import from_json, to_json
from medgan.images.leakage import LeakageAudit
from medgan.images.splits import data_hash
from medgan.images.summary import DataSummary
from medgan.pipelines.outputs import (
    ArmsComparison,
    Audit,
    Cohort,
    Comparison,
    Cut,
    Evaluation,
    Features,
    Illustrations,
    SampleGrids,
    Trained,
)
from medgan.pipelines.shared import EvaluationData
from medgan.report.claim import checklist
from medgan.report.data import (
    Card,
    Checklist,
    ModelDocuments,
    ReportData,
    RunFacts,
    fold_of,
    slices_of,
    split_table,
)
from medgan.report.page import render_report

DOCUMENTS: Mapping[str, str] = {
    "components": "evaluations",
    "localisation": "evaluations",
    "robustness": "audits",
    "subgroups": "audits",
    "random_errors": "audits",
    "worst_slices": "audits",
    "categories": "audits",
}
"""Document of one model -> where it is."""
FIGURES: Mapping[str, tuple[str, str]] = {
    "heatmaps": ("illustrations", "heatmaps"),
    "heatmaps_closest": ("illustrations", "heatmaps_closest"),
    "heatmaps_random": ("illustrations", "heatmaps_random"),
    "histogram": ("evaluations", "histogram"),
    "components": ("evaluations", "components_figure"),
    "robustness": ("audits", "robustness_figure"),
    "subgroups": ("audits", "subgroups_figure"),
    "categories": ("audits", "categories_figure"),
    "curves": ("trained", "curves_figure"),
}
"""Kind of a picture of one model -> where it is."""


@dataclass(frozen=True)
class Made:
    """Outputs of all pipelines for one dataset; parts that were not run have defaults."""

    trained: Mapping[str, Trained]
    evaluations: Mapping[str, Evaluation]
    audits: Mapping[str, Audit]
    illustrations: Mapping[str, Illustrations]
    features: Mapping[str, Features]
    external: Mapping[str, ExternalResult]
    comparison: Comparison
    cohort: Cohort
    leakage_audit: LeakageAudit
    tested_elsewhere: ExternalTests
    data_summary: DataSummary | None = None
    cut: Cut | None = None
    classifiers: Section[ClassifierResult] | None = None
    quality: Section[SynthesisResult] | None = None
    sample_grids: SampleGrids = field(default_factory=lambda: SampleGrids({}))
    arms_comparison: ArmsComparison | None = None

    def report_data(self, data: EvaluationData, left_out: Mapping[str, str]) -> ReportData:
        """Collect the data of the report; `left_out` has the reason for each missing model."""
        import torch

        results = Results(
            dataset=data.config.dataset,
            provenance=_provenance(data),
            detectors={name: found.evaluation for name, found in self.evaluations.items()},
            classifiers=self.classifiers.rows if self.classifiers else {},
            quality=self.quality.rows if self.quality else {},
            left_out=self.left_out(left_out),
        )
        info, compared = data.images.info, self.comparison
        return ReportData(
            results=read_results(to_json(results)),
            splits=split_table(data.splits),
            descriptions={name: _first_line(name) for name in models.detectors()},
            cards={name: from_json(Card, one.model.card) for name, one in self.trained.items()},
            models=self.documents(),
            verdicts={name: one.verdict for name, one in self.sample_grids.releases.items()},
            privacy={name: one.privacy for name, one in self.sample_grids.releases.items()},
            tests=compared.detector_tests,
            shortcuts=compared.shortcuts,
            cohort=self.cohort.cohort,
            reference=compared.reference_standard,
            leakage=self.leakage_audit,
            summary=self.data_summary,
            cut=self.cut.what_was_cut if self.cut else None,
            elsewhere=self.tested_elsewhere,
            arms=self.arms_comparison.audit if self.arms_comparison else None,
            fold=fold_of(data.splits),
            facts=RunFacts(
                versions={"medgan": __version__, "torch": torch.__version__},
                seed=data.seed,
                n_resamples=data.config.n_resamples,
                image_size=f"{info.width} x {info.height}",
                intensity=str(info.scaling),
                slices=slices_of(data.splits),
            ),
        )

    def left_out(self, detectors: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
        """Collect the models and arms that were left out, by section of the results."""
        sections = {"classifiers": self.classifiers, "quality": self.quality}
        others = {name: section.left_out for name, section in sections.items() if section}
        return {"detectors": detectors, **others}

    def documents(self) -> dict[str, ModelDocuments]:
        """Collect the documents of each detector and of each feature network."""
        of = {kind: _parts(getattr(self, where), kind) for kind, where in DOCUMENTS.items()}
        of["external"] = dict(self.external)
        of["projections"] = _parts({**self.illustrations, **self.features}, "projections")
        each: dict[str, dict[str, Any]] = {}
        for kind, found in of.items():
            for name, document in found.items():
                each.setdefault(name, {})[kind] = document
        return {name: ModelDocuments(**found) for name, found in each.items()}

    def figures(self) -> dict[str, bytes]:
        """Collect the PNG files by figure, or by figure and model."""
        compared, grids, arms = self.comparison, self.sample_grids, self.arms_comparison
        together: dict[str, Any] = {
            "forest": compared.auroc,
            "roc": compared.roc,
            "pr": compared.precision_recall,
            "detector_tests": compared.detector_tests_figure,
            "shortcuts": compared.shortcuts_figure,
            "robustness": compared.robustness,
            "categories": compared.categories,
            "flow": self.cohort.flow,
        }
        each = {kind: _parts(getattr(self, of), name) for kind, (of, name) in FIGURES.items()}
        each |= {
            "confusion": _parts(self.evaluations, "confusion"),
            "projections": _parts({**self.illustrations, **self.features}, "projections_figure"),
            "samples": dict(grids.figures),
            "closest": dict(grids.closest),
            "interpolations": dict(grids.interpolations),
            "class_rows": dict(grids.class_rows),
            "beside_real": dict(grids.beside_real),
        }
        if arms is not None:
            together |= {"arms_roc": arms.roc, "arms_reliability": arms.reliability}
            together |= {"arms_projection": arms.projection} if arms.projection else {}
            each["confusion"] |= arms.confusion_matrices
            each["saliency"] = dict(arms.saliency)
        return together | {
            f"{kind}_{name}": picture
            for kind, found in each.items()
            for name, picture in found.items()
        }


def _parts(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Select one part of each model that has it."""
    parts = {model: getattr(one, name) for model, one in found.items()}
    return {model: part for model, part in parts.items() if part is not None}


def report(
    data: EvaluationData, made: Made, left_out: Mapping[str, str] | None = None
) -> tuple[str, Checklist]:
    """Write the report of a dataset.

    Returns:
        One HTML page without any remote part, and the checklist CLAIM 2024, answered from the
        documents of the run.
    """
    everything = made.report_data(data, left_out or {})
    claim = checklist(everything)
    page = render_report(replace(everything, claim=claim), made.figures())
    return page, claim


def _provenance(data: EvaluationData) -> dict[str, Any]:
    import torch

    info = data.images.info
    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "medgan": __version__,
        "torch": torch.__version__,
        "seed": data.seed,
        "data_hash": data_hash(data.images, data.splits),
        "image size": f"{info.width} x {info.height}",
        "intensity": str(info.scaling),
        "bootstrap resamples": data.config.n_resamples,
    }


def _first_line(name: str) -> str:
    return (models.load(name).__doc__ or "").strip().splitlines()[0]
