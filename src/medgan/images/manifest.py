"""The manifest of usable images, the quarantine of others, and the images that are not wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.images.config import IngestionConfig
from medgan.images.labels import SEPARATOR, category_of, check_spellings, findings_of
from medgan.images.metadata import INGEST_AGAIN, ImageFacts, KnownFacts, age_bands
from medgan.images.patients import patients_of
from medgan.sources.forms import form
from medgan.sources.neutral_ids import ORDER
from medgan.sources.raw import METADATA, OF_ANOTHER_KIND, Bools
from medgan.sources.registry import ImageSource
from medgan.sources.rows import OLDEST, exclude, exclusions, require_some

COLUMNS = (
    *("image_id", "path", "group_id", "group_known", "label", "category", "findings", "split"),
    *("sex", "age", "age_band", "site", "view", "date", "volume", "slice", "sequence", "scanner"),
    *("window", "color", "width", "height", "file_format"),
    *("pixel_hash", "perceptual_hash", "provenance"),
)
SUFFIX = r"(\.[A-Za-z]\w*)(?:\.gz)?(?:/\d+)?$"
"""Of a file, in the path of an image, before the number of a slice or frame."""
KNOWN_BY_SOURCE = ("split", *METADATA)
"""What a source may tell of an image, or else the file itself."""
QUARANTINE = ("path", "code", "stage", "message")
EXCLUSIONS = ("path", "reason")


def listing(source: ImageSource, config: IngestionConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the wanted images, sorted by their real ids and with their findings, and the others.

    Excluded (path, reason) are images that the source's filters leave out, then those with a label
    that `ingestion.labels` maps to null.

    Raises:
        UserError: repeated ids, images without a label, labels that are not declared, or that
            differ only in how they are written.
    """
    rows = source.rows()
    rows = rows.sort_values(ORDER if ORDER in rows else "image_id", ignore_index=True)
    repeated = rows.loc[rows["image_id"].duplicated(), "path"]
    if len(repeated):
        raise UserError(
            f"{len(repeated)} image ids come twice in the source, for example "
            f"that of {repeated.iloc[0]}; give every image an id of its own"
        )
    filtered = exclusions(rows).notna()
    raw = rows["category_raw"].where(rows["category_raw"].notna(), "").astype(str)
    found = {label: _findings(label, config) for label in raw[~filtered].unique()}
    _check_labels(rows[~filtered], raw[~filtered], found, source.name, config)
    unwanted = raw.isin([label for label, names in found.items() if None in names])
    rows = exclude(rows.assign(found=raw.map(found)), unwanted, "label " + raw)
    reasons = exclusions(rows)
    excluded = pd.DataFrame({"path": rows["path"], "reason": reasons}, columns=list(EXCLUSIONS))
    excluded = pd.concat([excluded[filtered], excluded[unwanted & ~filtered]], ignore_index=True)
    return rows[reasons.isna()].reset_index(drop=True), excluded


def _parts(label: str, config: IngestionConfig) -> list[str]:
    """Return the labels of an image that shows several findings, else its one label."""
    return [part.strip() for part in label.split(config.separator)] if config.separator else [label]


def _findings(label: str, config: IngestionConfig) -> tuple[str | None, ...]:
    """Return the categories of a raw label, in order; none where it is missing or undeclared."""
    if not label and "" not in (config.labels or {}):
        return ()
    try:
        return tuple(dict.fromkeys(map(config.category, _parts(label, config))))
    except KeyError:
        return ()


def _check_labels(
    rows: pd.DataFrame,
    raw: pd.Series[str],
    found: Mapping[str, Sequence[str | None]],
    name: str,
    config: IngestionConfig,
) -> None:
    if config.labels is None:
        check_spellings((part for label in raw for part in _parts(label, config)), name)
    for label, names in found.items():
        if not names and not label:
            problem = "have no label"
            remedy = (
                "correct the source's `category`, leave these images out, or say what it means: "
                "ingestion.labels with the key '' (two quotes)"
            )
        elif not names:
            problem = f"have the label `{label}`, which nobody declared"
            remedy = _declared_otherwise(label, config)
        elif NORMAL in names and len(names) > 1:
            problem = f"have the label `{label}`, normal and a finding at once"
            remedy = "correct the label, or map it to null in ingestion.labels"
        else:
            continue
        paths = rows.loc[raw == label, "path"]
        count = f"{len(paths)} of {len(rows)}"
        raise UserError(
            f"{count} images of {name} {problem} (for example {paths.iloc[0]}); {remedy}"
        )


def _declared_otherwise(label: str, config: IngestionConfig) -> str:
    """Return what to do about a label that nobody declared, such as an other spelling."""
    if config.labels is None:
        return (
            "if it says that there is no label, leave these images out, else declare it: say in "
            "ingestion.labels what each label means"
        )
    known = list(config.labels)
    alike = next((name for name in known if form(name) == form(label)), None)
    if alike is not None:
        return (
            f"`{alike}` of ingestion.labels differs only in how it is written: correct one of "
            "them, or add this label too (in quotes, if it is a number)"
        )
    if not config.separator and len({"|", ";", ","} & set(label)):
        return "add it to ingestion.labels, or set ingestion.separator if these are several labels"
    return f"add it to ingestion.labels, which has {', '.join(f'`{name}`' for name in known)}"


def build_manifest(
    source: ImageSource, known: KnownFacts, config: IngestionConfig
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Build the tables of a data set from the facts of its images.

    Returns:
        The manifest (COLUMNS, in the order of `listing`), the quarantine of images that cannot be
        used (path, code, stage, message), and the exclusions (path, reason): images that are not
        wanted, and sound files that are no images of the data set.

    Raises:
        UserError: as for `listing`; a category without images, images that were not read, or more
            unreadable ones than `max_quarantined`.
    """
    wanted, excluded = listing(source, config)
    facts = _facts(known, wanted["path"].tolist())
    wanted, facts, others = _of_the_kind(wanted, facts, source.name)
    excluded = pd.concat([excluded, others], ignore_index=True)
    refused = [(fact.path, fact.code, "reading", fact.message) for fact in facts if fact.code]
    quarantine = pd.DataFrame(refused, columns=list(QUARANTINE), dtype=object)
    _check_quarantine(quarantine, len(wanted), config.max_quarantined, source.name)
    usable = np.array([not fact.code for fact in facts], dtype=bool)
    manifest = _manifest(
        wanted[usable].reset_index(drop=True), [fact for fact in facts if not fact.code]
    )
    _check_categories(manifest, config)
    return manifest, quarantine, excluded


def require_unchanged(
    source: ImageSource, config: IngestionConfig, manifest: pd.DataFrame, *others: pd.DataFrame
) -> None:
    """Check that a source still lists what the tables of its ingestion have.

    Raises:
        UserError: it lists other paths, or another label, patient or part of an image.
    """
    before = {str(path) for table in (manifest, *others) for path in table["path"]}
    now = set(source.rows()["path"].astype(str))
    for paths, event in ((before - now, "is gone since"), (now - before, "was added after")):
        if paths:
            more = f", and {len(paths) - 1} others" if len(paths) > 1 else ""
            raise UserError(f"{min(paths)} {event} ingestion{more}; {INGEST_AGAIN}")
    for what, changed in _told_otherwise(source, config, manifest):
        paths = set(manifest.loc[changed, "path"])
        if paths:
            more = f" (and those of {len(paths) - 1} others)" if len(paths) > 1 else ""
            raise UserError(
                f"the {what} of {min(paths)}{more} is another one than at ingestion; {INGEST_AGAIN}"
            )


def _told_otherwise(
    source: ImageSource, config: IngestionConfig, manifest: pd.DataFrame
) -> Iterator[tuple[str, Bools]]:
    """Iterate over the fields, and which images (n,) have another value in the source."""
    listed = listing(source, config)[0].set_index("path").reindex(manifest["path"])
    found = [SEPARATOR.join(names) if isinstance(names, tuple) else "" for names in listed["found"]]
    yield "label", (manifest["findings"] != found).to_numpy(dtype=bool)
    for field, what in (("group_id", "patient"), ("split", "part of the split")):
        now = listed.reindex(columns=[field])[field].to_numpy(dtype=object)
        told = pd.notna(now)
        before = manifest[field].to_numpy(dtype=object)
        changed = np.zeros(len(now), dtype=bool)
        if field == "group_id":  # another key gives other pseudonyms to the same groups
            changed[told] = _regrouped(now[told], before[told])
        else:
            changed[told] = now[told] != before[told]
        yield what, changed


def _regrouped(now: NDArray[Any], before: NDArray[Any]) -> Bools:
    """Return which images (n,) are not with most others of their group, now or before."""
    if (pd.factorize(now)[0] == pd.factorize(before)[0]).all():
        return np.zeros(len(now), dtype=bool)
    pairs = pd.DataFrame({"now": now, "before": before}, dtype=object)
    differ = [
        pairs[name] != pairs.groupby(group)[name].transform(lambda names: names.mode()[0])
        for group, name in (("now", "before"), ("before", "now"))
    ]
    return (differ[0] | differ[1]).to_numpy(dtype=bool)


def _facts(known: KnownFacts, paths: list[str]) -> list[ImageFacts]:
    found = known.of(paths)
    unread = [path for path in paths if path not in found]
    if unread:
        count = f"{len(unread)} images (for example {unread[0]})"
        raise UserError(f"{count} were not read yet; run `kedro run --pipeline ingestion`")
    return [found[path] for path in paths]


def _of_the_kind(
    wanted: pd.DataFrame, facts: list[ImageFacts], name: str
) -> tuple[pd.DataFrame, list[ImageFacts], pd.DataFrame]:
    """Return rows and facts without sound files that are no images, and these (path, reason)."""
    reasons = pd.Series(
        [
            f"{fact.code}: {fact.message}" if fact.code in OF_ANOTHER_KIND else None
            for fact in facts
        ],
        index=wanted.index,
        dtype=object,
    )
    if facts:
        require_some(exclude(wanted, reasons.notna(), reasons), name)
    others = pd.DataFrame({"path": wanted["path"], "reason": reasons}, columns=list(EXCLUSIONS))
    rest = [fact for fact in facts if fact.code not in OF_ANOTHER_KIND]
    kept = wanted[reasons.isna()].reset_index(drop=True)
    return kept, rest, others[reasons.notna()]


def _check_quarantine(
    quarantine: pd.DataFrame, total: int, max_quarantined: float, name: str
) -> None:
    if len(quarantine) > max_quarantined * total:
        worst = quarantine.iloc[0]
        raise UserError(
            f"{len(quarantine)} of {total} images of {name} cannot be used "
            f"(for example {worst['path']}: {worst['code']}, {worst['message']}), "
            f"more than ingestion.max_quarantined = {max_quarantined} allows; "
            "correct or remove them, or raise that share"
        )


def _check_categories(manifest: pd.DataFrame, config: IngestionConfig) -> None:
    present = set(findings_of(manifest))
    if (manifest["label"] == 0).any():
        present.add(NORMAL)
    for name in config.classes(manifest):
        if name not in present:
            raise UserError(
                f"there is no image of the category `{name}`; correct ingestion.labels or "
                f"ingestion.normal (the images are {', '.join(sorted(present)) or 'none at all'}), "
                "or the source"
            )


def _as_the_source(in_file: Sequence[str | None], told: pd.Series[Any]) -> list[str | None]:
    """Give the patients of headers the names that the source has for them in other images."""
    names = {
        mine: str(theirs)
        for mine, theirs in zip(in_file, told, strict=True)
        if mine is not None and pd.notna(theirs)
    }
    return [None if mine is None else names.get(mine, mine) for mine in in_file]


def _manifest(wanted: pd.DataFrame, facts: list[ImageFacts]) -> pd.DataFrame:
    manifest = wanted.reindex(columns=["image_id", "path", "found", *KNOWN_BY_SOURCE])
    for column in KNOWN_BY_SOURCE:
        in_file = [fact.metadata.get(column) for fact in facts]
        if column == "group_id":
            patients = patients_of(fact.metadata for fact in facts)
            in_file = _as_the_source(patients.groups, manifest[column])
        values = pd.Series(in_file, index=manifest.index, dtype=object)
        values = manifest[column].astype(object).where(manifest[column].notna(), values)
        manifest[column] = values.astype(str).where(values.notna(), None).astype(object)
    found = manifest.pop("found")
    manifest["category"] = [category_of(names) for names in found]
    manifest["findings"] = [SEPARATOR.join(names) for names in found]
    manifest["label"] = (manifest["category"] != NORMAL).astype("int64")
    for column in ("width", "height", "pixel_hash", "perceptual_hash"):
        manifest[column] = [getattr(fact, column) for fact in facts]
    manifest["group_known"] = manifest["group_id"].notna().astype(bool)
    together = pd.Series([fact.metadata.get("study") for fact in facts], dtype=object)
    for other in ("volume", "pixel_hash"):
        together = together.where(together.notna(), manifest[other])
    manifest["group_id"] = manifest["group_id"].where(manifest["group_known"], together)
    ages = pd.to_numeric(manifest["age"], errors="coerce").astype("float64")
    manifest["age"] = ages.where(ages.between(0.0, OLDEST))
    manifest["age_band"] = age_bands(manifest["age"])
    manifest["file_format"] = manifest["path"].str.extract(SUFFIX)[0].str.lower()
    manifest["provenance"] = "real"
    return manifest[list(COLUMNS)]
