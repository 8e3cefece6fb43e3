"""The simulators, in a browser: the library's numbers, drawn where they belong, by keyboard, offline, on any screen."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from book_files import CHAPTERS, ROOT, cells, source
from browsing import browser_only, violations, visit

from bnlab.layers.batchnorm_backward import backward
from bnlab.theory import filters, modes, stability

FOLDER = ROOT / "book" / "_static" / "simulators"
PLACES = {"modes": "04_natural_modes", "lms": "07_minimum_disturbance", "directions": "01_algorithm"}
each = pytest.mark.parametrize("name", PLACES)


def in_browser(test):
    """Mark a test that opens Chromium."""
    return pytest.mark.browser(browser_only(test))


@pytest.fixture
def opened(browser, pages, request):
    """Open the page of a simulator, at a width and in a theme, and compute with it; at the end nothing went wrong."""
    contexts, told = [], []

    def open_page(name, width=1280, theme="light", **more):
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **more)
        asked = []
        context.on("request", lambda sent: asked.append(sent.url))
        view, troubles = visit(context, (pages / f"{PLACES[name]}.html").as_uri())
        contexts.append(context)
        if more.get("java_script_enabled", True):  # without, Chromium gives up what the page preloads
            told.append(troubles)
        view.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        place = view.locator(f'.bn-simulator[data-simulator="{name}"]')

        def compute(**settings):
            return view.evaluate("([name, it]) => bnlab.simulators[name].compute(it)", [name, settings])

        return SimpleNamespace(view=view, place=place, compute=compute, asked=asked, name=name)

    yield open_page
    for context in contexts:
        context.close()
    assert told == [[]] * len(told)


class Normals:
    """The simulators' generator in Python: Mulberry32, Box and Muller."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        word = 0xFFFFFFFF
        self.state = (self.state + 0x6D2B79F5) & word
        t = ((self.state ^ self.state >> 15) * (1 | self.state)) & word
        t ^= (t + (t ^ t >> 7) * (61 | t)) & word
        return (t ^ t >> 14) / 2**32

    def __call__(self, count):
        pairs = [(self.uniform(), self.uniform()) for _ in range(count)]
        numbers = [math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v) for u, v in pairs]
        return torch.tensor(numbers, dtype=torch.float64)


def test_the_generator_is_normal():
    draws = Normals(1)(20_000)
    assert abs(draws.mean()) < 0.03
    assert abs(draws.std() - 1) < 0.02
    assert abs((draws**4).mean() - 3) < 0.2
    assert not torch.equal(Normals(2)(5), draws[:5])


@each
def test_a_simulator_is_small_and_asks_nothing_of_the_network(name):
    text = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
    shared = (FOLDER / "plot.js").read_text(encoding="utf-8")
    assert len((text + shared).encode()) < 20_000
    urls = set(re.findall(r"https?://[^\"'`]*", text + shared))
    assert urls == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|Math\.random|Date)\b", text + shared)


@each
def test_a_simulator_stands_in_its_chapter_with_words_for_paper(name):
    (path,) = [path for path in CHAPTERS if path.stem == PLACES[name]]
    (cell,) = [source(c) for c in cells(path, "markdown") if f'data-simulator="{name}"' in source(c)]
    (inside,) = re.findall(r'(?s)<div class="bn-simulator"[^>]*>\n(.*?)</div>', cell)
    assert "\n\n" not in inside  # a blank line would end the HTML
    assert "In words:" in inside
    assert len(inside) > 300


SPECTRA = [
    (1.2, (0.1, 0.3, 0.6, 1.0)),
    (1.9, (0.1, 0.3, 0.6, 1.0)),
    (2.1, (1.0, 0.3, 0.6, 0.1)),
    (0.5, (1.5, 1.5, 0.02, 0.7)),
]


@in_browser
def test_modes_are_those_of_the_library(opened):
    page = opened("modes")
    for mu, spectrum in SPECTRA:
        found = page.compute(mu=mu, **{f"lambda{k + 1}": value for k, value in enumerate(spectrum)})
        eigenvalues = torch.tensor(spectrum, dtype=torch.float64)
        law = modes.decay(eigenvalues, mu, torch.arange(41))  # (41, 4)
        np.testing.assert_allclose(np.transpose(found["paths"]), law, rtol=1e-9, atol=1e-300)
        loss = 0.5 * (eigenvalues * law**2).sum(1)
        np.testing.assert_allclose(found["loss"], loss / loss[0], rtol=1e-9)
        assert found["bound"] == pytest.approx(stability.stability_bound(eigenvalues))
        assert found["best"] == pytest.approx(stability.best_rate(eigenvalues)[0])
        assert found["slowest"] == stability.slowest_mode(eigenvalues, mu)
        assert (found["growing"] > 0) == (mu > stability.stability_bound(eigenvalues))


@in_browser
@pytest.mark.parametrize(
    ("mu", "loudness", "noise", "draw"), [(0.5, 2.5, 0.1, 1), (1.5, 0.1, 0.0, 2), (1.0, 1.5, 1.0, 20)]
)
def test_lms_and_nlms_are_those_of_the_library(opened, mu, loudness, noise, draw):
    found = opened("lms").compute(mu=mu, loudness=loudness, noise=noise, draw=draw)
    normals = Normals(draw)
    solution = normals(8)
    weights = {"LMS": torch.zeros(8).double(), "NLMS": torch.zeros(8).double()}
    errors = {rule: [1.0] for rule in weights}
    for n in range(600):
        x = (loudness if 200 <= n < 400 else 1.0) * normals(8)
        d = x @ solution + noise * normals(1)[0]
        weights["LMS"] = filters.lms_step(weights["LMS"], x, d, mu / 8)
        weights["NLMS"] = filters.nlms_step(weights["NLMS"], x, d, mu)
        for rule, W in weights.items():
            errors[rule].append(((W - solution).norm() / solution.norm()).item())
    for rule in weights:
        np.testing.assert_allclose(found[rule], errors[rule], rtol=1e-6, atol=1e-13)


@in_browser
def test_weights_beyond_any_number_are_told_and_not_drawn_as_nan(opened):
    page = opened("lms")
    found = page.compute(mu=2, loudness=31.6, noise=0, draw=1)
    assert found["LMS"][-1] == math.inf
    assert all(math.isfinite(error) for error in found["NLMS"])
    page.place.get_by_label("input in the middle third").press("End")
    page.place.get_by_label("rate μ").press("End")
    page.view.wait_for_function("() => document.querySelector('.bn-outcome').textContent.includes('than a computer')")
    assert "NaN" not in page.place.inner_html()


def test_the_bound_in_the_caption_is_that_of_the_mean_square():
    X = torch.randn(8, 40_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bound = stability.mean_square_limit(X) * X.square().sum(0).mean()  # in units of 1 / power
    assert float(bound) == pytest.approx(1.6, rel=0.03)
    assert "stays below 1.6 " in (FOLDER / "lms.js").read_text(encoding="utf-8")


@in_browser
@pytest.mark.parametrize(
    ("m", "offset", "slope", "sigma", "eps"), [(16, 0.5, 0.8, 1, 1e-5), (64, -2, 0, 0.01, 1e-4), (5, 1, 2, 10, 1)]
)
def test_the_backward_pass_is_that_of_the_library(opened, m, offset, slope, sigma, eps):
    found = opened("directions").compute(m=m, offset=offset, slope=slope, sigma=sigma, eps=eps)
    raw, rest = Normals(1)(2 * m).reshape(m, 2).T
    unit = (raw - raw.mean()) / raw.std(correction=0)
    x, g = sigma * unit, offset + slope * unit + rest
    np.testing.assert_allclose(found["g"], g, rtol=1e-9)
    true = backward(g[:, None], x[:, None], torch.ones(1).double(), eps).x[:, 0]
    np.testing.assert_allclose(found["dx"], true, rtol=1e-8, atol=1e-12)
    u = unit / unit.norm()
    shares = found["shares"]
    assert shares["mean"] == pytest.approx(float(m * g.mean() ** 2 / g.square().sum()))
    assert shares["along"] == pytest.approx(float((g @ u) ** 2 / g.square().sum()))
    assert found["kept"] == pytest.approx(
        float(torch.tensor(found["left"], dtype=torch.float64) @ u / (g @ u)), abs=1e-9
    )


@in_browser
def test_of_two_values_nothing_is_left(opened):
    page = opened("directions")
    assert np.abs(page.compute(m=2, offset=1, slope=1, sigma=1, eps=1e-20)["dx"]).max() < 1e-12
    page.place.get_by_label("ε", exact=True).press("Home")
    page.place.get_by_label("values in the channel").press("Home")
    page.view.wait_for_function("() => document.querySelector('.bn-outcome').textContent.includes('nothing is left')")


def height_of(page, value):
    """Where a value of the vertical axis stands, by the labels of its ticks: logarithmic, labels 1 and 0.01."""
    at = {label.text_content(): float(label.get_attribute("y")) for label in page.place.locator(".bn-tick-y").all()}
    return at["1"] + (at["1"] - at["0.01"]) / 2 * math.log10(value)


@in_browser
def test_marks_stand_where_the_axes_say(opened):
    page = opened("modes")
    marks = page.place.locator("svg[role=img] path.bn-mark.bn-series-3").all()
    factor = 1 - 1.2 * 1.0
    assert len(marks) == 9  # the tenth power is below the frame
    for n, mark in enumerate(marks):
        _, y = map(float, re.findall(r"[\d.]+", mark.get_attribute("transform")))
        assert y + 4 == pytest.approx(height_of(page, abs(factor) ** n), abs=0.05)
        assert ("bn-open" in mark.get_attribute("class")) == (factor**n < 0)


@in_browser
@each
def test_every_slider_works_by_keyboard_and_says_its_value(opened, name):
    page = opened(name)
    sliders = page.place.locator("input[type=range]").all()
    start = [slider.input_value() for slider in sliders]
    assert len(sliders) >= 4
    drawing = page.place.locator("svg[role=img]")
    sliders[0].focus()
    for slider in sliders:
        assert slider.evaluate("e => e === document.activeElement")
        words, drawn = slider.get_attribute("aria-valuetext"), drawing.inner_html()
        page.view.keyboard.press("PageUp")
        assert slider.get_attribute("aria-valuetext") not in (words, None, "")
        assert drawing.inner_html() != drawn
        page.view.keyboard.press("Tab")
    assert page.view.evaluate("document.activeElement.textContent") == "Reset"
    assert [slider.input_value() for slider in sliders] != start
    page.view.keyboard.press("Enter")
    assert [slider.input_value() for slider in sliders] == start


@in_browser
def test_the_outcome_says_when_a_mode_grows(opened):
    page = opened("modes")
    outcome = page.place.locator(".bn-outcome")
    assert (outcome.get_attribute("aria-live"), outcome.get_attribute("role")) == ("polite", "status")
    assert outcome.inner_text().startswith("Stable: μ = 1.2, and 2/λmax = 2. The slowest mode is that of the smallest")
    rate = page.place.get_by_label("rate μ")
    for value, words in (("1.9", "that of the largest eigenvalue"), ("2", "On the edge"), ("2.1", "Unstable")):
        rate.evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input', { bubbles: true })); }", value)
        page.view.wait_for_function("w => document.querySelector('.bn-outcome').textContent.includes(w)", arg=words)
    page.place.get_by_label("eigenvalue λ₄").press("Home")  # the spectrum decides too
    page.view.wait_for_function("() => document.querySelector('.bn-outcome').textContent.startsWith('Stable')")


@in_browser
@each
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_nothing_scrolls_sideways(opened, name, width):
    page = opened(name, width)
    assert page.view.evaluate("document.documentElement.scrollWidth") <= width
    parts = page.place.evaluate("e => [...e.querySelectorAll('*')].map(x => x.getBoundingClientRect().right)")
    assert max(parts) <= width


CONTRAST = """element => {
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const own = getComputedStyle(element), ground = light(getComputedStyle(document.body).backgroundColor);
  const drawn = light(element.tagName === "text" ? own.fill : own.stroke);
  return (Math.max(ground, drawn) + 0.05) / (Math.min(ground, drawn) + 0.05);
}"""


@in_browser
@each
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_simulator_is_accessible_in_both_themes(opened, name, theme):
    page = opened(name, theme=theme, reduced_motion="reduce")
    assert violations(page.view, ".bn-simulator") == []
    drawing = page.place.locator("svg[role=img]")
    for kind, least in (("text", 4.5), (".bn-line:not(.bn-thin)", 3), (".bn-mark", 3)):
        found = [part.evaluate(CONTRAST) for part in drawing.locator(kind).all()[:40]]
        assert not found or min(found) >= least, (kind, min(found))
    assert page.view.evaluate("document.querySelector('.bn-simulator').getAnimations({ subtree: true }).length") == 0


@in_browser
@each
def test_paper_and_pages_without_scripts_have_words(opened, name):
    page = opened(name)
    words = page.place.locator("p.bn-static")
    assert not words.is_visible()
    assert all(url.startswith(("file:", "data:")) for url in page.asked)
    page.view.emulate_media(media="print")
    assert words.is_visible()
    assert page.place.locator("svg[role=img]").is_visible()
    assert not page.place.locator("input").first.is_visible()
    silent = opened(name, java_script_enabled=False)
    assert silent.place.locator("p").is_visible()
    assert silent.place.locator("input").count() == 0
