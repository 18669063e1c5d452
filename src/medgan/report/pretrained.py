"""What is known of the pre-trained generators of medigan, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medgan.nested import leaves
from medgan.report.tables import Column, Table
from medgan.sources.medigan.catalogue import Model


def listing(models: Sequence[Model]) -> Iterator[Table | str]:
    """One row for each model."""
    names = ("id", "type", "modality", "organ", "pixels", "FID, as published", "license")
    rows = [
        [
            model.short,
            model.metadata.selection.type,
            ", ".join(model.metadata.selection.modality[:1]),
            ", ".join(model.metadata.selection.organ[:1]),
            model.size,
            model.fid,
            model.metadata.selection.license or "unknown",
        ]
        for model in models
    ]
    yield Table([Column(name, text=True) for name in names], rows)
    yield (
        f"{len(models)} of medigan's models. FID: Fréchet distance of Inception features, with the "
        "number of images, as its authors have published it; not comparable between models. The size "
        "of a package is not published. `medgan medigan show ID` has more."
    )


def description(model: Model) -> Iterator[Table | str]:
    """All that medigan publishes of a model, and the command that judges its images."""
    run, about = model.metadata.execution, model.metadata.selection
    told = model.metadata.description
    rows = {
        "id": model.id,
        "title": told.title,
        "type": about.type,
        "what it does": ", ".join(about.function),
        "modality": ", ".join(about.modality),
        "organ": ", ".join(about.organ),
        "generates": ", ".join(about.generates),
        "pixels": model.size,
        "trained on": ", ".join(about.dataset),
        "license": about.license or "unknown",
        "publication": told.publication,
        "DOI": ", ".join(told.doi),
        "FID, as published": model.fid,
        **{
            f"published {name}": str(value)
            for name, value in leaves(about.performance)
            if name != "FID" and value is not None
        },
        "package": run.package_link,
        "package size": "not published",
        "needs": ", ".join(run.dependencies),
        "arguments": "\n".join(
            f"{name}: {value}" for name, value in run.generate_method.args.custom.items()
        ),
        "inputs": "\n".join(told.inputs),
        "comment": told.comment,
    }
    yield Table(
        [Column("medigan", text=True), Column("", text=True)],
        [[name, value] for name, value in rows.items() if value],
    )
    yield (
        f"kedro run --pipeline synthesis --params synthesis.source=medigan:{model.short},"
        "synthesis.source_class=CLASS,synthesis.run_foreign_code=true"
    )
