import pytest

from medgan.errors import UserError
from medgan.evaluation.protocol import EvaluationConfig, Protocol
from medgan.stats.thresholds import Conformal, FalsePositiveRate


def test_the_rules_of_the_configuration_are_parsed_once():
    config = EvaluationConfig(
        threshold_rule="conformal=0.1", decision_rules=("fpr=0.2",), n_resamples=300
    )
    assert config.protocol(7) == Protocol(
        rule=Conformal(0.1), decision_rules=(FalsePositiveRate(0.2),), n_resamples=300, seed=7
    )
    assert EvaluationConfig().protocol() == Protocol()


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ({"decision_rules": ("best",)}, "decision_rules"),
        ({"patient_score": "sum"}, "patient_score"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(setting, key):
    with pytest.raises(UserError, match=rf"evaluation\.{key}"):
        EvaluationConfig(**setting)
