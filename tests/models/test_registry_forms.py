"""The name of a model's form, from the settings that a card or a record holds."""

import pytest

from medgan.models import form


@pytest.mark.parametrize(
    ("name", "configuration", "expected"),
    [
        ("bigan", {"cycle": True, "latent_dim": 8}, "ALAD"),
        ("bigan", {"cycle": False}, "EGBAD"),
        ("healthygan", {"output": "coarse"}, "Brainomaly, coarse map"),
        ("healthygan", {"output": "mask", "a_setting_of_before": 1}, "HealthyGAN, mask"),
        ("fanogan", {}, "f-AnoGAN"),
        ("nearest_neighbour", {}, "nearest neighbour"),
    ],
)
def test_the_form_follows_the_settings(
    name: str, configuration: dict[str, object], expected: str
) -> None:
    assert form(name, configuration) == expected
