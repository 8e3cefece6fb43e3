"""The API reference: Sphinx's autodoc over a floor of the library, so that no list of modules can go stale.

``.. bnlab-floor:: theory`` documents every module of that folder; without a name, the modules that stand on no floor.
Docstrings are written for those who read the source. So here a single backtick is code, and a link where it names
something documented; a bar is an absolute value, or part of a table; and a star is one, unless it stresses a word or
begins an item of a list.
"""

import inspect
import pkgutil
import re

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.roles import XRefRole
from sphinx.util.docutils import SphinxDirective

import bnlab

NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
TABLE = re.compile(r"\s*\|.*\n\s*\|[-|: ]+(\n\s*\|.*)+")
CODE = re.compile(r"(``.*?``|`[^`]*`)", re.DOTALL)
STRESSED = r"(?<![\w*)\]])\*\w[\w\s,'-]*(?<=\w)\*(?!\w)"
SIGNATURE = re.compile(r'<dl>\s*(?=<dd><em class="sig-param")(.*?)</dl>', re.DOTALL)
MARKUP = re.compile(rf"({STRESSED}|^\s*\* )|(?<!\\)([*|]|(?<=\w)_(?!\w))", re.MULTILINE)


class Generated(SphinxDirective):
    """Show reStructuredText that is made of what the library holds."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse the lines, sections and all."""
        lines = StringList(self.lines(), source=self.name)
        section = nodes.section()
        section.document = self.state.document
        self.state.nested_parse(lines, 0, section, match_titles=True)
        return section.children


class Floor(Generated):
    """Document the modules of one folder of the library, each in a section of its own."""

    def lines(self) -> list[str]:
        """Hand every module to autodoc; what a module hands on is described where it lives."""
        made = []
        for name in modules(*self.arguments):
            title = name.removeprefix("bnlab.").removeprefix(f"{''.join(self.arguments)}.")
            if title not in self.arguments:  # a floor's own words stand below the title of its page
                made += [title, "=" * len(title), ""]
            made += [f".. automodule:: {name}", "   :members:", "   :ignore-module-all:", ""]
        return made


class Public(Generated):
    """List the names that the library offers at its door."""

    def lines(self) -> list[str]:
        """Say of each where it is described, and its first line."""
        made = []
        for name in bnlab.__all__:
            if (member := getattr(bnlab, name)).__doc__ and hasattr(member, "__qualname__"):
                first = escaped(inspect.getdoc(member).partition("\n\n")[0].replace("\n", " "))
                made.append(f"* :py:obj:`{name} <{member.__module__}.{member.__qualname__}>`: {first}")
        return made


def modules(floor: str | None = None) -> list[str]:
    """List the modules of a floor, its own words first; without a floor, those that stand on none."""
    found = list(pkgutil.walk_packages(bnlab.__path__, "bnlab."))
    if floor is None:
        return [m.name for m in found if m.name.count(".") == 1 and not m.ispkg]
    return [m.name for m in found if m.name.split(".")[1] == floor]


def as_meant(app, what, name, member, options, lines: list[str]) -> None:
    """Turn a docstring as written into reStructuredText, block by block."""
    found, preformatted = [], False
    for block in re.split(r"\n[ \t]*\n", "\n".join(lines)):
        if preformatted and block.startswith(" "):
            found.append(block)
            continue
        preformatted = block.rstrip().endswith("::")
        if TABLE.fullmatch(block):
            block = table(block)
        elif ">>>" not in block:
            block = escaped(block)
        found.append(block)
    lines[:] = "\n\n".join(found).split("\n")


def table(block: str) -> str:
    """Turn a table drawn with bars into reStructuredText."""
    head, _, *rows = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in block.splitlines()]
    made = [".. list-table::", "   :header-rows: 1", ""]
    for cells in (head, *rows):
        made += [f"   {' ' if n else '*'} - {cell}" for n, cell in enumerate(cells)]
    return "\n".join(made)


def escaped(block: str) -> str:
    """Take away the meaning that bars, stars and underscores have in reStructuredText, outside code."""
    pieces = CODE.split(block)
    pieces[::2] = [MARKUP.sub(lambda found: found[1] or "\\" + found[2], piece) for piece in pieces[::2]]
    return "".join(pieces)


def name_or_code(role, rawtext, text, lineno, inliner, options=None, content=()):
    """Show single backticks as code; link what is a name, where Sphinx knows it."""
    if NAME.fullmatch(text):
        return XRefRole()("py:obj", rawtext, text, lineno, inliner, options or {}, content)
    return [nodes.literal(rawtext, text)], []


def resolve(app, env, node, contnode):
    """Find what a docstring calls by the end of its name, ``training.train``; what is not there stays plain code."""
    if node.get("refdomain") != "py" or node.get("reftype") != "obj":
        return None
    domain, short = env.get_domain("py"), node["reftarget"]
    ends = [name for name in domain.objects if name.endswith(f".{short}")] if "." in short else []
    if len(ends) == 1:
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", ends[0], node, contnode)
    return nodes.literal(short, contnode.astext())


def without_factories(app, what, name, member, options, signature: str | None, returned: str | None):
    """Write a default that is made anew each time as Python can read it; Sphinx would give up on the whole line."""
    return (signature or "").replace("<factory>", "...") or None, returned


def as_it_is_called(_app, function, _bound):
    """Show the signature that a decorated function declares: autodoc reads defaults in the source of the one inside."""
    if hasattr(function, "__signature__") and hasattr(function, "__wrapped__"):
        del function.__wrapped__


def mend_signatures(app, pagename, templatename, context, doctree) -> None:
    """Make the lines of a long signature what they are: Sphinx calls them definitions, of nothing."""

    def lines(found: re.Match) -> str:
        return found[1].replace("<dd>", '<span class="bn-parameter">').replace("</dd>", "</span>")

    if "body" in context:
        context["body"] = SIGNATURE.sub(lines, context["body"])


def setup(app) -> dict:
    """Connect to Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.add_role("name-or-code", name_or_code)
    app.add_directive("bnlab-floor", Floor)
    app.add_directive("bnlab-public", Public)
    app.connect("autodoc-process-docstring", as_meant, priority=600)  # after napoleon
    app.connect("autodoc-before-process-signature", as_it_is_called, priority=100)  # before autodoc_preserve_defaults
    app.connect("autodoc-process-signature", without_factories)
    app.connect("missing-reference", resolve)
    app.connect("html-page-context", mend_signatures)
    return {"version": bnlab.__version__, "parallel_read_safe": True, "parallel_write_safe": True}
