"""A generator is released where every rule holds, and refused by name where one does not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from medgan.audits.gate import RULES, Evidence, ReleaseConfig, figures, judge
from medgan.audits.privacy import Attack, CopyResult, PrivacyResult
from medgan.audits.release import ReleaseVerdict, guarantee
from medgan.errors import UserError
from medgan.evaluation.results import SynthesisResult
from medgan.files.documents import from_json, to_json
from medgan.images.leakage import Leak, LeakageAudit
from medgan.metrics.planted import Calibration
from medgan.metrics.quality import QualityMetric
from medgan.project.parameters import sections, typed
from medgan.stats.bootstrap import Estimate
from tests.conftest import ROOT

NONE = Leak(0, 0, ())
COPIES = CopyResult(
    n=1000,
    n_training=4000,
    rate=Estimate(0.001, 0.0, 0.006),
    false_flags=Estimate(0.0, 0.0, 0.01),
    n_held_out=300,
    n_calibration=300,
    recall={"exact": Estimate(1.0, 0.99, 1.0), "shifted": Estimate(0.97, 0.95, 0.99)},
    n_planted=400,
    calibration=Calibration(0.87, 0.77, 0.97),
    median_ratio=1.0,
)
PRIVACY = PrivacyResult(
    COPIES,
    membership={
        "nearest synthetic image": Attack(Estimate(0.51, 0.47, 0.55), 300),
        "discriminator": Attack(Estimate(0.6, 0.56, 0.64), 300),
    },
)
QUALITY = SynthesisResult(
    {
        "fid_domain": QualityMetric(value=7.0, real_vs_real=1.0, n=500),
        "recall_domain": QualityMetric(value=0.4, n=500),
        "coverage_domain": QualityMetric(value=0.6, n=500),
    }
)
GOOD = Evidence(
    generator="acgan",
    key="0123",
    scale="cpu",
    collapse=None,
    n_images=1000,
    quality=QUALITY,
    privacy=PRIVACY,
    leakage=LeakageAudit("no leak", {"patients": NONE}, NONE, None, {}, 0, None, None),
    n_held_out=600,
    n_patients=400,
)


def copies(**changes: object) -> Evidence:
    return replace(GOOD, privacy=replace(PRIVACY, copies=replace(COPIES, **changes)))


def attacked(name: str, auc: Estimate) -> Evidence:
    membership = {**PRIVACY.membership, name: Attack(auc, 300)}
    return replace(GOOD, privacy=replace(PRIVACY, membership=membership))


def quality(key: str, metric: QualityMetric) -> Evidence:
    return replace(GOOD, quality=SynthesisResult({**QUALITY.overall, key: metric}))


BAD = {
    "leaks": replace(GOOD, leakage=replace(GOOD.leakage, shared={"patients": Leak(1, 2, ())})),
    "smoke_scale": replace(GOOD, scale="smoke"),
    "held_out_images": replace(GOOD, n_held_out=99),
    "held_out_patients": replace(GOOD, n_patients=49),
    "planted_recall": copies(recall={**COPIES.recall, "flipped": Estimate(0.9, 0.8, 0.95)}),
    "false_flags": copies(false_flags=Estimate(0.02, 0.01, 0.03)),
    "copy_rate": copies(rate=Estimate(0.01, 0.005, 0.02)),
    "membership_auc": attacked("nearest synthetic image", Estimate(0.59, 0.55, 0.63)),
    "discriminator_auc": attacked("discriminator", Estimate(0.95, 0.9, 0.99)),
    "mode_collapse": replace(GOOD, collapse="two samples differ 0.1 times as much"),
    "frechet_above_floor": quality("fid_domain", QualityMetric(value=40.0, real_vs_real=1.0, n=9)),
    "recall": quality("recall_domain", QualityMetric(value=0.05, n=9)),
    "coverage": quality("coverage_domain", QualityMetric(value=0.1, n=9)),
}


def test_a_good_generator_is_released() -> None:
    found = judge(GOOD, ReleaseConfig())
    assert found.released
    assert found.first_failed is None
    assert found.n_flagged == 1
    assert set(BAD) == {rule.rule for rule in found.rules} == {rule.key for rule in RULES}


@pytest.mark.parametrize("rule", BAD)
def test_each_rule_alone_refuses_and_is_named(rule: str) -> None:
    found = judge(BAD[rule], ReleaseConfig())
    assert not found.released
    assert [one.rule for one in found.rules if not one.holds] == [rule]
    assert found.first_failed is not None
    assert found.first_failed.rule == rule
    assert figures(found)["released"].value == 0
    assert figures(found)["released"].reason.startswith(f"{rule}: ")


def test_an_unknown_figure_refuses_and_says_why() -> None:
    missing = replace(
        GOOD,
        privacy=PrivacyResult(None, "too few held-out images", PRIVACY.membership),
        quality=SynthesisResult(
            {
                key: QualityMetric(value=None, reason="no network of domain features")
                for key in QUALITY.overall
            }
        ),
    )
    found = judge(missing, ReleaseConfig())
    unknown = {one.rule: one for one in found.rules if one.holds is None}
    assert set(unknown) == {
        *("planted_recall", "false_flags", "copy_rate"),
        *("frechet_above_floor", "recall", "coverage"),
    }
    assert "not available (too few held-out images)" in unknown["copy_rate"].sentence
    assert unknown["recall"].reason == "no network of domain features"
    assert not found.released


def test_patients_that_nobody_knows_refuse_unless_none_are_asked_for() -> None:
    unknown = replace(GOOD, n_patients=None)
    refused = judge(unknown, ReleaseConfig())
    assert refused.first_failed is not None
    assert refused.first_failed.rule == "held_out_patients"
    assert judge(unknown, ReleaseConfig(held_out_patients=0)).released


def test_a_generator_without_a_discriminator_has_one_rule_less() -> None:
    membership = {"nearest synthetic image": PRIVACY.membership["nearest synthetic image"]}
    found = judge(replace(GOOD, privacy=replace(PRIVACY, membership=membership)), ReleaseConfig())
    assert found.released
    assert "discriminator_auc" not in {one.rule for one in found.rules}


def test_a_verdict_is_a_document() -> None:
    for evidence in (GOOD, *BAD.values()):
        verdict = judge(evidence, ReleaseConfig())
        text = json.dumps(to_json(verdict), allow_nan=False)
        assert from_json(ReleaseVerdict, json.loads(text)) == verdict
    assert from_json(PrivacyResult, json.loads(json.dumps(to_json(PRIVACY)))) == PRIVACY


def test_differential_privacy_is_said_with_what_it_covers() -> None:
    spent = {"epsilon": 7.8912, "delta": 1e-5, "covers": "the weights", "steps": 10}
    said = guarantee({"privacy": spent})
    assert said == "epsilon 7.89 at delta 1e-05; it covers the weights"
    verdict = judge(replace(GOOD, differential_privacy=said), ReleaseConfig())
    assert verdict.differential_privacy == said
    assert (
        guarantee({"scale": "cpu"}) == judge(GOOD, ReleaseConfig()).differential_privacy == "none"
    )


def test_the_configuration_of_the_project_has_the_limits() -> None:
    """`conf/base` and the defaults say the same; a limit outside its range is refused."""
    kinds = {"synthesis": sections()["synthesis"], "scale": str}
    text = (ROOT / "conf/base/parameters/synthesis.yml").read_text(encoding="utf-8")
    given = {"synthesis": yaml.safe_load(text)["synthesis"], "scale": "cpu"}
    assert typed(given, kinds)["synthesis"].release == ReleaseConfig()
    given["synthesis"]["release"]["copy_rate"] = 2
    with pytest.raises(UserError, match=r"synthesis\.release\.copy_rate"):
        typed(given, kinds)
