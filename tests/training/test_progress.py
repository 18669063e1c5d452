"""What a training shows while it runs."""

import logging

import pytest

from medgan.training.loop import Progress
from medgan.training.progress import LiveView
from medgan.training.validation import Validation


def test_the_bar_says_steps_images_a_second_time_left_and_losses(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    view = LiveView("dcgan")
    for step in (10, 20):
        view(
            Progress(
                "adversarial",
                step,
                20,
                {"discriminator/accuracy": 0.75, "generator/adversarial": 1.5},
                images_per_second=512.0,
            )
        )
    shown = capsys.readouterr().err
    for words in ("dcgan", "20/20", "512 images/s", "D accuracy 0.75", "G adversarial 1.5", "<"):
        assert words in shown, words


def test_f34_a_collapse_is_said_once_with_what_was_seen(caplog: pytest.LogCaptureFixture) -> None:
    view = LiveView("dcgan")
    with caplog.at_level(logging.WARNING):
        for step in (2, 10, 20):
            view(Progress("adversarial", step, 20, validation=Validation({"diversity": 0.04})))
    assert [
        record.message
        for record in caplog.records
        if "dcgan: mode collapse?" in record.message and "0.04 times" in record.message
    ]
    assert len(caplog.records) == 1
