"""Numbers that a cell computed, in the text of a page: 2 × 10²³ there, where Python writes 2e+23."""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

from bnlab.claims.markup import numbers

RAISED = re.compile(r"<sup>(.*?)</sup>")


class GluedNumbers(SphinxPostTransform):
    """Rewrites what MyST-NB has pasted from this page or another."""

    default_priority = 6  # MyST-NB pastes from other pages at 5

    def run(self, **kwargs) -> None:
        """Change the text of every pasted number that has an exponent."""
        for pasted in list(self.document.findall(nodes.inline)):
            if "pasted-text" in pasted["classes"]:
                pasted.children = []
                pasted.extend(written(pasted.rawsource))


def written(text: str) -> list[nodes.Node]:
    """Give the nodes of a text: powers of ten raised."""
    pieces = RAISED.split(numbers(text))  # text, exponent, text, ..., text
    told = [nodes.superscript("", piece) if n % 2 else nodes.Text(piece) for n, piece in enumerate(pieces)]
    return [node for node in told if node.astext()]


def setup(app) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_post_transform(GluedNumbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
