"""A page loads the scripts that it uses, in order, and no others."""

import re

import pytest
import small_book
from sphinx.errors import ExtensionError

SIMULATOR = '<div class="bn-simulator" data-simulator="{}"><p>words</p></div>'


def scripts(page) -> list[str]:
    """Which of the book's own scripts and styles a page loads, in order."""
    own = r"_static/((?:simulators/)?(?:plot|modes|lms|directions|predict|simulators)\.(?:js|css))"
    return re.findall(own, page.read_text(encoding="utf-8"))


def test_pages_load_what_they_use(tmp_path):
    box = "```{admonition} Predict first\n1. What?\n```"
    text = {
        "plain": "# Plain\n\nWords on a simulator, and predict first.",
        "one": "# One\n\n" + SIMULATOR.format("modes"),
        "two": "# Two\n\n" + SIMULATOR.format("modes") + "\n\n" + SIMULATOR.format("lms"),
        "box": f"# Box\n\n{box}",
    }
    html = small_book.write(tmp_path, text)
    assert scripts(html / "plain.html") == []
    style, shared = "simulators/simulators.css", "simulators/plot.js"
    assert scripts(html / "one.html") == [style, shared, "simulators/modes.js"]
    assert scripts(html / "two.html") == [style, shared, "simulators/lms.js", "simulators/modes.js"]
    assert scripts(html / "box.html") == ["predict.js"]


@pytest.mark.parametrize("name", ["mode", "plot", ""])
def test_a_simulator_that_there_is_not_stops_the_build(tmp_path, name):
    with pytest.raises(ExtensionError, match=rf"page: no simulator is called {name}; there are \['directions', 'lms'"):
        small_book.write(tmp_path, {"page": "# Page\n\n" + SIMULATOR.format(name)})
