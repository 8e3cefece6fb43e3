"""Figures a reader can play with in the static page: drawn frames, a slider over them, buttons, a caption.

One image stands in the page from the start, so that it shows on paper and without scripts; the script beside it, which
needs nothing else, puts the other frames in its place and unhides the controls. A frame is kept as lossless WebP of 256
colours, a quarter of the PNG that matplotlib writes: line drawings have few colours.
"""

import base64
import html
import io
import json
import re
from collections.abc import Callable, Sequence

import numpy as np
from IPython.display import HTML
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

MILLISECONDS = 250  # a frame, while playing
BUTTONS = {"first": ("First frame", "|&lt;"), "back": ("Previous frame", "&lt;"), "play": ("Play", "▶"),
           "on": ("Next frame", "&gt;"), "last": ("Last frame", "&gt;|")}  # fmt: skip
SCRIPT = """(() => {
  const player = document.getElementById("bn-player-NAME"), labels = LABELS, frames = FRAMES;
  const [picture, slider, told, play] = ["img", "input", "output", "[data-go=play]"].map(s => player.querySelector(s));
  let timer = null, untouched = true;
  const show = n => {
    slider.value = n;
    picture.src = frames[n];
    told.value = labels[n];
    slider.setAttribute("aria-valuetext", labels[n]);
  };
  const stop = () => {
    timer = clearInterval(timer);
    play.textContent = "▶";
    play.setAttribute("aria-label", "Play");
  };
  const start = () => {
    if (untouched || slider.valueAsNumber === frames.length - 1) show(0);
    play.textContent = "||";
    play.setAttribute("aria-label", "Pause");
    timer = setInterval(() => {
      show(Math.min(slider.valueAsNumber + 1, frames.length - 1));
      if (slider.valueAsNumber === frames.length - 1) stop();
    }, PAUSE);
  };
  const to = { first: () => 0, back: n => Math.max(n - 1, 0), on: n => Math.min(n + 1, frames.length - 1),
    last: () => frames.length - 1 };
  slider.addEventListener("input", () => { stop(); untouched = false; show(slider.valueAsNumber); });
  for (const button of player.querySelectorAll("button")) {
    const go = button.dataset.go;
    button.addEventListener("click", () => {
      const playing = Boolean(timer);
      stop();
      if (go !== "play") show(to[go](slider.valueAsNumber));
      else if (!playing) start();
      untouched = false;
    });
  }
  frames[FIRST] = picture.src;
  show(FIRST);
  player.querySelector(".bn-controls").hidden = false;
})();"""


def player(
    figure, draw: Callable[[int], object], labels: Sequence[str], *, name: str, knob: str, alt: str, caption: str,
    first: int = 0,
):  # fmt: skip
    """Build a playable figure: one frame a label, a slider that tells the label, buttons, and a caption.

    Args:
        figure: the matplotlib Figure that ``draw`` changes; it is laid out once, for the first frame shown, since axes
            that move with every frame are hard to follow (and take most of the time).
        draw: called with 0 … len(labels) - 1, redraws the figure for that frame.
        labels: what the slider says at each frame, value and unit, such as "1.20 / λmax"; under about 40, since each
            frame is a picture inside the page.
        name: unique on the page, letters and digits: the stable id of the elements.
        knob: what the slider moves, such as "rate μ".
        alt: what the animation shows, in words.
        caption: what to try and to see, in words.
        first: the frame that the page opens with, and that stands for the whole where nothing moves.

    Returns:
        An ``IPython.display.HTML``.

    Raises:
        ValueError: no frames, a name that is not an identifier, or an empty knob, text or caption.
    """
    if not 0 <= first < len(labels):
        raise ValueError(f"frames = {len(labels)}, first = {first}: at least one frame, and first one of them.")
    if not name.isidentifier():
        raise ValueError(f"name = {name!r}: letters, digits and underscores, it becomes an element id.")
    for what, words in (("knob", knob), ("alt", alt), ("caption", caption)):
        if not words.strip():
            raise ValueError(f"{what} is empty: say in words what the figure shows and what its slider moves.")
    frames = _film(figure, draw, len(labels), first)
    others = [frame if n != first else "" for n, frame in enumerate(frames)]
    filled = {
        "NAME": name,
        "LABELS": _literal(labels),
        "FRAMES": _literal(others),
        "FIRST": first,
        "PAUSE": MILLISECONDS,
    }
    script = re.sub("|".join(filled), lambda place: str(filled[place[0]]), SCRIPT)
    knob, alt, caption = (html.escape(words, quote=True) for words in (knob, alt, caption))
    buttons = "".join(
        f'<button type="button" data-go="{go}" aria-label="{title}" title="{title}">{sign}</button>'
        for go, (title, sign) in BUTTONS.items()
    )
    return HTML(
        f'<div class="bn-player" id="bn-player-{name}" role="group" aria-label="Playable figure: {knob}">'
        f'<img alt="{alt}" src="{frames[first]}">'
        f'<div class="bn-controls" hidden><label for="bn-slider-{name}">{knob}</label>: <output></output>'
        f'<input type="range" id="bn-slider-{name}" min="0" max="{len(frames) - 1}" step="1" value="{first}">'
        f'<div class="bn-buttons">{buttons}</div></div>'
        f'<p class="bn-caption">{caption}</p><script>{script}</script></div>'
    )


def _film(figure, draw: Callable[[int], object], frames: int, first: int) -> list[str]:
    """Draw every frame, laid out as the first one shown is; each a data URI."""
    canvas = FigureCanvasAgg(figure)
    draw(first)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    film = []
    for frame in range(frames):
        draw(frame)
        canvas.draw()
        film.append(_webp(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")))
    return film


def _webp(picture: Image.Image) -> str:
    """Keep a picture as a data URI, in 256 colours without dithering."""
    buffer = io.BytesIO()
    few = picture.quantize(256, dither=Image.Dither.NONE).convert("RGB")
    few.save(buffer, format="WEBP", lossless=True, quality=80, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _literal(values: Sequence[str]) -> str:
    """Write a list for a script inside a page, where "</" would end the script."""
    return json.dumps(list(values), ensure_ascii=False).replace("</", "<\\/")
