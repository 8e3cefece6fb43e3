"""Figures a reader can play with in the static page: matplotlib's HTML player, made fit for an offline book.

matplotlib's ``to_jshtml`` links an icon font from the network, draws random element ids (so two builds differ), has no
alternative text, overflows a phone's screen, and shows nothing without scripts or on paper. Each is mended here.
"""

import base64
import html
import io
import re
from collections.abc import Callable

import matplotlib as mpl
from IPython.display import HTML
from matplotlib.animation import FuncAnimation

ICONS = {  # the player's buttons in signs that every font has, in the place of its icon font
    "fa-minus": "−",
    "fa-fast-backward": "|&lt;",
    "fa-step-backward": "&lt;",
    "fa-play fa-flip-horizontal": "◀",
    "fa-pause": "||",
    "fa-play": "▶",
    "fa-step-forward": "&gt;",
    "fa-fast-forward": "&gt;|",
    "fa-plus": "+",
}


def player(figure, draw: Callable[[int], object], frames: int, *, name: str, alt: str, first: int = 0):
    """Build a playable figure: buttons, a slider over ``frames`` frames, a static frame for print and no-script.

    Args:
        figure: the matplotlib Figure that ``draw`` changes; it is laid out once, for the first frame shown, since axes
            that move with every frame are hard to follow (and take most of the time).
        draw: called with 0 … frames - 1, redraws the figure for that frame.
        frames: how many; keep it under about 40, each is a PNG inside the page.
        name: unique on the page, letters and digits: the stable id of the elements.
        alt: what the animation shows, in words.
        first: the frame that stands for the whole where nothing moves.

    Returns:
        An ``IPython.display.HTML``.

    Raises:
        ValueError: no frames, a name that is not an identifier, or empty alternative text.
    """
    if frames < 1 or not 0 <= first < frames:
        raise ValueError(f"frames = {frames}, first = {first}: at least one frame, and first one of them.")
    if not name.isidentifier():
        raise ValueError(f"name = {name!r}: letters, digits and underscores, it becomes an element id.")
    if not alt.strip():
        raise ValueError("alt is empty: say in words what the animation shows.")
    draw(first)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    still = _png(figure)
    with mpl.rc_context({"savefig.bbox": None, "animation.embed_limit": 30}):
        film = FuncAnimation(figure, draw, frames=frames, interval=250, blit=False, init_func=lambda: None)
        markup = film.to_jshtml(fps=4, default_mode="once", embed_frames=True)
    markup = _offline(markup, name)
    described = html.escape(alt, quote=True)
    markup = markup.replace(f'<img id="_anim_img{name}">', f'<img id="_anim_img{name}" alt="{described}">')
    image = f'<img class="bn-still" alt="{described}" src="data:image/png;base64,{still}">'
    return HTML(
        f'<div class="bn-player" role="group" aria-label="{described}">{markup}<noscript>{image}</noscript>'
        f'<div class="bn-print-only">{image}</div></div>'
    )


def _offline(markup: str, name: str) -> str:
    """Strip the network font, fix the random id, replace icons, and let the picture shrink with the page."""
    markup = re.sub(r"<link[^>]*font-awesome[^>]*>", "", markup)
    random_id = re.search(r'id="_anim_img([0-9a-f]{32})"', markup)
    if random_id is None:  # a new matplotlib writes another player: better no figure than a broken one
        raise RuntimeError("matplotlib's HTML player has changed: bnlab.figures.animation must follow it.")
    markup = markup.replace(random_id[1], name)
    for icon, sign in ICONS.items():
        markup = re.sub(rf'<i class="fa {icon}"\s*>\s*</i>', f'<span aria-hidden="true">{sign}</span>', markup)
    markup = re.sub(r'title="([^"]+)"(?![^>]*aria-label)', r'title="\1" aria-label="\1"', markup)
    return markup.replace('<input id="_anim_slider', '<input aria-label="frame" id="_anim_slider', 1)


def _png(figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()
