import numpy as np

from medgan.models import display_name, names
from medgan.plots.style import category_colors, colors, notice, wrapped
from medgan.words import capital, readable


def words(figure):
    return [text.get_text() for text in (*figure.texts, *figure.axes[0].texts)]


def test_a_notice_has_its_title_and_its_reason():
    figure = notice("BiGAN", "Not run: there are no images of another dataset.")
    assert figure.get_suptitle() == "BiGAN"
    assert words(figure)[-1].startswith("Not run: there are no images")


def test_normal_has_the_first_color_and_names_have_the_same_in_any_order():
    found = category_colors(["viral", "normal", "bacterial"])
    assert list(found) == ["normal", "bacterial", "viral"]
    assert len(set(found.values())) == 3
    assert colors(["b", "a"]) == colors(["a", "b"])


def test_every_model_has_a_name_for_readers():
    assert display_name("fanogan") == "f-AnoGAN"
    assert display_name("nearest_neighbour") == "nearest neighbour"
    assert display_name("domain_features") == "domain features"
    assert not any("_" in display_name(name) for name in names())


def test_capitals_leave_names_alone():
    assert capital("f-AnoGAN ranks first") == "f-AnoGAN ranks first"
    assert capital(readable("nearest_neighbour")) == "Nearest neighbour"
    assert capital("") == ""


def test_long_lines_are_wrapped_one_by_one():
    lines = wrapped(["a " * 80, "b"], 40).split("\n")
    assert max(map(len, lines)) <= 40
    assert lines[-1] == "b"
    assert np.sum([line.count("a") for line in lines]) == 80
