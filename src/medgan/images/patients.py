"""Tell the patients of DICOM files, also of those whose headers are incomplete.

A study is of one patient (PS3.3, A.1.2). IssuerOfPatientID is optional (PS3.3, C.7.1.1): a header
without it does not say that the PatientID has no issuer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

BY_ISSUER = (
    "DICOM images without an IssuerOfPatientID are of the patient of this PatientID whose other "
    "images name it"
)
AMBIGUOUS = (
    "DICOM images without an IssuerOfPatientID have a PatientID of several issuers: they count as "
    "a further patient, but may be of one of theirs, so that patients may be in two parts of the "
    "split, unnoticed"
)
BY_STUDY = "DICOM images without a PatientID are of the patient of their study"
SEVERAL = (
    "DICOM images are of studies with several PatientIDs, though a study is of one patient: "
    "patients may be in two parts of the split, unnoticed"
)


@dataclass(frozen=True)
class Patients:
    """The patients of images, and how those were told that their headers do not name in full."""

    groups: Sequence[str | None]
    """Of each image the pseudonym of its patient; None where it is not known."""
    remarks: Sequence[str]
    """One sentence, without its full stop, for each of the conclusions above."""


def patients_of(headers: Iterable[Mapping[str, str]]) -> Patients:
    """Tell the patients of images from their metadata, with the keys of `raw.IDENTITY`."""
    headers, conclusions = list(headers), Counter[str]()
    issued = defaultdict[tuple[str, ...], set[str]](set)
    for header in headers:
        if header.get("issuer"):
            for key in _keys(header):
                issued[key].add(header["group_id"])
    groups = [_named(header, issued, conclusions) for header in headers]
    of_study = defaultdict[str, set[str]](set)
    for header, group in zip(headers, groups, strict=True):
        if group and header.get("study"):
            of_study[header["study"]].add(group)
    for place, header in enumerate(headers):
        patients = of_study.get(header.get("study", ""), set())
        conclusions[SEVERAL] += len(patients) > 1
        if groups[place] is None and len(patients) == 1:
            groups[place] = next(iter(patients))
            conclusions[BY_STUDY] += 1
    return Patients(groups, [f"{count} {what}" for what, count in conclusions.items() if count])


def _keys(header: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return PatientID and study, where it has one, and PatientID alone."""
    number, study = header.get("number", ""), header.get("study", "")
    return [key for key in ((number, study), (number,)) if all(key)]


def _named(
    header: Mapping[str, str],
    issued: Mapping[tuple[str, ...], set[str]],
    conclusions: Counter[str],
) -> str | None:
    """Return the patient with the issuer that others of the study name, or else all others."""
    group = header.get("group_id")
    if group is None or header.get("issuer"):
        return group
    choices: set[str] = next((issued[key] for key in _keys(header) if key in issued), set())
    if len(choices) == 1:
        conclusions[BY_ISSUER] += 1
        return next(iter(choices))
    conclusions[AMBIGUOUS] += len(choices) > 1
    return group
