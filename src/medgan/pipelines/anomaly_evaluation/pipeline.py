"""anomaly_evaluation: per detector, score and evaluate; then one comparison and one report."""

from __future__ import annotations

from functools import partial

from kedro.pipeline import Node, Pipeline

from medgan import models
from medgan.pipelines.anomaly_evaluation.audits import categories, encoders
from medgan.pipelines.anomaly_evaluation.audits import nodes as audits
from medgan.pipelines.anomaly_evaluation.reporting import nodes as reporting
from medgan.pipelines.anomaly_evaluation.scoring import maps, nodes
from medgan.pipelines.anomaly_evaluation.scoring import nodes as comparisons
from medgan.pipelines.anomaly_evaluation.scoring import nodes as external
from medgan.pipelines.anomaly_evaluation.scoring import nodes as runs
from medgan.pipelines.shared import embed

PARAMETERS = ("params:evaluation", "params:seed")
TOGETHER = ("detector_tests", "shortcuts", "cohort", "reference_standard")
"""Documents about all detectors or the data that this pipeline writes."""
ARMS = ("real", "classical", "gan", "gan_classical")
"""Arms whose confusion matrices the report shows where they have been trained."""


def create_pipeline(**_: object) -> Pipeline:
    """One namespace for each detector, the comparison, and the report."""
    together = Pipeline(
        [_compare(), _stats(), _claim(), _report(), *_audits()], tags=["anomaly_evaluation"]
    )
    return sum((_detector_pipeline(name) for name in models.detectors()), together) + _encoders()


def _detector_pipeline(name: str) -> Pipeline:
    parameters = ["params:evaluation", "params:seed"]
    base = Pipeline(
        [
            Node(
                nodes.score,
                ["published", "images", "splits", *parameters, "cached_maps"],
                ["scores", "anomaly_maps"],
                name="score",
            ),
            Node(
                nodes.evaluate,
                ["published", "scores", "splits", *parameters],
                ["evaluation", "confusion", "histogram"],
                name="evaluate",
            ),
            *_detector_audits(parameters),
            *_maps(parameters),
            Node(
                external.validate_externally,
                [
                    "published_from",
                    "evaluation_from",
                    "splits_from",
                    "external_so_far",
                    "images",
                    "splits",
                    *parameters,
                ],
                "external",
                name="validate_externally",
                tags="external",
            ),
            Node(
                runs.keep_scores,
                ["scores", "splits", "evaluation"],
                "test_scores",
                name="keep_scores",
            ),
        ]
    )
    inputs = {"images", "masks", "splits", "splits_from", "leakage_audit"}
    return Pipeline(
        base,
        namespace=name,
        inputs=inputs,
        parameters=set(parameters),
        tags=["anomaly_evaluation", name],
    )


def _detector_audits(parameters: list[str]) -> list[Node]:
    """What a reviewer asks of each detector."""
    judged = ["scores", "splits", "evaluation"]
    return [
        Node(
            audits.score_perturbed,
            ["published", "images", "splits", *parameters, "cached_perturbed_scores"],
            "perturbed_scores",
            name="score_perturbed",
        ),
        Node(
            audits.robustness,
            ["published", "perturbed_scores", *judged, *parameters],
            ["robustness", "robustness_figure"],
            name="robustness",
        ),
        Node(
            audits.subgroups,
            ["published", *judged, "leakage_audit", *parameters],
            ["subgroups", "subgroups_figure"],
            name="subgroups",
        ),
        Node(audits.errors, [*judged, *parameters], "random_errors", name="random_errors"),
        Node(audits.worst_slices, [*judged, *parameters], "worst_slices", name="worst_slices"),
    ]


def _audits() -> list[Node]:
    """What a reviewer asks of the data, and of all detectors at once."""
    detectors, parameters = models.detectors(), ["params:evaluation", "params:seed"]
    rows = [f"{name}.evaluation" for name in detectors]
    scored = [*rows, *(f"{name}.scores" for name in detectors)]
    shortcuts = ["shortcut_scores", "shortcut_reasons"]
    cohort = ["splits", "quarantine", "exclusions", "leakage_audit"]
    return [
        Node(
            audits.score_shortcuts,
            ["images", "splits", "params:seed"],
            shortcuts,
            name="score_shortcuts",
        ),
        Node(
            audits.shortcuts,
            [*shortcuts, "splits", *parameters, *scored],
            ["shortcuts", "shortcuts_figure"],
            name="audit_shortcuts",
        ),
        Node(
            audits.compare_robustness,
            [f"{name}.robustness" for name in detectors],
            "robustness_figure",
            name="compare_robustness",
        ),
        Node(
            audits.describe_cohort,
            cohort,
            ["cohort", "cohort_table", "flow_figure"],
            name="describe_cohort",
        ),
        Node(
            audits.describe_reference,
            ["params:evaluation", *rows],
            "reference_standard",
            name="describe_reference",
        ),
    ]


def _encoders() -> Pipeline:
    """Parts of the scores, features on a plane, kinds of anomalies."""
    projected = [*models.encoders(), encoders.REFERENCE]
    inputs = [f"{name}.projection" for name in projected] + [
        f"{name}.scores" for name in models.encoders()
    ]
    page = Node(
        encoders.projections_page,
        ["images", "splits", *PARAMETERS, *inputs],
        "projections_html",
        name="projections_page",
    )
    named = [f"{name}.categories" for name in models.encoders()]
    together = Pipeline(
        [page, Node(categories.compare_kinds, named, "categories_figure", name="compare_kinds")],
        tags=["anomaly_evaluation"],
    )
    parts = (
        _namespaced(name, [_parts(embedded=name in models.encoders())])
        for name in models.composed()
    )
    inside = (
        _namespaced(name, [*_embedding(), _projection(name, "scores"), *_kinds()])
        for name in models.encoders()
    )
    reference = _namespaced(encoders.REFERENCE, [_projection(encoders.REFERENCE, None)])
    return sum((*parts, *inside, reference), together)


def _namespaced(name: str, nodes_of_one: list[Node]) -> Pipeline:
    base = Pipeline(nodes_of_one)
    shared = base.inputs() & {"images", "splits", "results.classifiers"}
    return Pipeline(
        base,
        namespace=name,
        inputs=shared,
        parameters=base.inputs() & set(PARAMETERS),
        tags=["anomaly_evaluation", name],
    )


def _parts(embedded: bool) -> Node:
    inputs = [
        "published",
        "scores",
        "evaluation",
        "images",
        "splits",
        *PARAMETERS,
        *(["embeddings"] if embedded else []),
    ]
    return Node(
        encoders.evaluate_parts, inputs, ["components", "components_figure"], name="evaluate_parts"
    )


def _embedding() -> list[Node]:
    given = ["published", "images", "splits", *PARAMETERS]
    return [
        Node(embed, [*given, "cached_embeddings"], "embeddings", name="embed"),
        Node(categories.residuals, [*given, "cached_residuals"], "residuals", name="residuals"),
    ]


def _projection(name: str, scores: str | None) -> Node:
    project = partial(encoders.project_features, name)
    project.__name__ = "project_features"  # type: ignore[attr-defined]
    inputs = {
        "embeddings": "embeddings",
        "splits": "splits",
        "config": PARAMETERS[0],
        "seed": PARAMETERS[1],
        "cached": "cached_projection",
    }
    scored = {"scores": scores} if scores else {}
    return Node(
        project,
        inputs | scored,
        ["projection", "projection_facts", "projections_figure"],
        name="project_features",
    )


def _kinds() -> list[Node]:
    inputs = [
        "published",
        "embeddings",
        "residuals",
        "anomaly_maps",
        "splits",
        "results.classifiers",
        *PARAMETERS,
    ]
    return [
        Node(categories.categorize, inputs, ["categories", "categories_figure"], name="categorize")
    ]


def _maps(parameters: list[str]) -> list[Node]:
    """The heat maps of a detector, and its pixel-level figures."""
    return [
        Node(
            maps.illustrate,
            [
                "published",
                "scores",
                "anomaly_maps",
                "images",
                "masks",
                "splits",
                "evaluation",
                *parameters,
                "cached_counterparts",
            ],
            ["heatmaps", "heatmaps_closest", "heatmaps_random", "counterparts"],
            name="illustrate",
        ),
        Node(
            maps.localize,
            ["anomaly_maps", "images", "masks", "splits", *parameters],
            "localisation",
            name="localize",
        ),
    ]


def _compare() -> Node:
    detectors = models.detectors()
    inputs = [
        "images",
        "splits",
        *(f"{name}.evaluation" for name in detectors),
        *(f"{name}.scores" for name in detectors),
    ]
    return Node(
        nodes.compare,
        inputs,
        ["results.detectors", "comparison_table", "roc_figure", "pr_figure", "forest_figure"],
        name="compare_detectors",
    )


def _stats() -> Node:
    inputs = {"splits": "splits", "config": "params:evaluation", "seed": "params:seed"}
    inputs |= {
        f"{kind}_{name}": f"{name}.{kind}"
        for name in models.detectors()
        for kind in ("evaluation", "scores")
    }
    return Node(
        comparisons.differences_from_baselines,
        inputs,
        ["detector_tests", "detector_tests_figure"],
        name="test_detectors",
    )


def _documents() -> dict[str, str]:
    """What the checklist and the report read of all parts."""
    of_all = (
        "components",
        "localisation",
        "robustness",
        "subgroups",
        "random_errors",
        "worst_slices",
        "external",
    )
    names = {
        kind: models.composed() if kind == "components" else models.detectors() for kind in of_all
    }
    names |= {
        "categories": models.encoders(),
        "projection_facts": (*models.encoders(), encoders.REFERENCE),
    }
    return {
        "detectors": "results.detectors",
        "images": "images",
        "splits": "splits",
        "config": "params:evaluation",
        "seed": "params:seed",
        **{name: name for name in (*TOGETHER, "leakage_audit", "cut_profile", "tested_elsewhere")},
        **{f"{kind}_{name}": f"{name}.{kind}" for kind, whose in names.items() for name in whose},
        **{f"published_{name}": f"{name}.published" for name in models.names()},
    }


def _claim() -> Node:
    return Node(reporting.fill_checklist, _documents(), "claim", name="fill_checklist")


def _report() -> Node:
    """The page: the documents above, and every figure under a name that says its kind and its
    model.
    """
    together = (
        "forest",
        "roc",
        "pr",
        "detector_tests",
        "shortcuts",
        "robustness",
        "flow",
        "categories",
    )
    drawn = ("heatmaps", "heatmaps_closest", "heatmaps_random", "confusion", "histogram")
    of_each = {kind: kind for kind in drawn} | {
        kind: f"{kind}_figure" for kind in ("robustness", "subgroups")
    }
    inputs = {
        **_documents(),
        "claim": "claim",
        "cached_pictures": "cached_report_pictures",
        "classifiers": "results.classifiers",
        "quality": "results.quality",
        **{f"figure_{name}": f"{name}_figure" for name in together},
        **{
            f"figure_{kind}_{name}": f"{name}.{stored}"
            for name in models.detectors()
            for kind, stored in of_each.items()
        },
        **{f"figure_components_{name}": f"{name}.components_figure" for name in models.composed()},
        **{f"figure_categories_{name}": f"{name}.categories_figure" for name in models.encoders()},
        **{
            f"figure_projections_{name}": f"{name}.projections_figure"
            for name in (*models.encoders(), encoders.REFERENCE)
        },
        **{f"figure_samples_{name}": f"{name}.samples" for name in models.synthesizers()},
        **{f"figure_curves_{name}": f"{name}.curves_figure" for name in models.names()},
        **{f"figure_confusion_{arm}": f"{arm}.confusion" for arm in ARMS},
    }
    return Node(reporting.report, inputs, ["report_html", "report_pictures"], name="report")
