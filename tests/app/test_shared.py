"""Texts from data on the page: Streamlit takes them for Markdown."""

import pytest
from streamlit.testing.v1 import AppTest

from medgan.app.shared import plain, said


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("film_12 (2).png", "film_12 (2).png"),
        ("![x](http://a.b/c)", r"!\[x\](http\://a.b/c)"),
        ("**bold** _slant_ ~~gone~~", r"\*\*bold\*\* \_slant\_ \~\~gone\~\~"),
        ("$x$ :red[y] :smile: 10:30", r"\$x\$ :red\[y\] \:smile: 10:30"),
        ("<b>b</b> &lt; R&D", r"\<b>b\</b> \&lt; R&D"),
        ("# 1\n- 2\n3. 4\n> 5", "\\# 1\n\\- 2\n3\\. 4\n\\> 5"),
        ("www.a.b a\\*b `c`", r"www\.a.b a\\\*b \`c\`"),
    ],
)
def test_markup_in_a_name_is_escaped(name: str, shown: str) -> None:
    assert plain(name) == shown


def test_a_sentence_keeps_its_commands() -> None:
    assert said("a*b: `kedro run --env a*b` makes it") == r"a\*b: `kedro run --env a*b` makes it"
    assert said("a`b*: no images") == r"a\`b\*: no images"


def test_an_error_in_a_fragment_is_one_sentence() -> None:
    def page() -> None:
        from medgan.app.shared import FAILED, errors_shown
        from medgan.errors import UserError

        for error in (ValueError("secret"), UserError("*a* is missing: `make` makes it.")):
            with errors_shown():
                raise error
        assert FAILED

    app = AppTest.from_function(page).run()
    assert not app.exception
    assert "secret" not in app.error[0].value
    assert app.error[1].value == r"\*a\* is missing: `make` makes it."
