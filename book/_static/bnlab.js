// A region that scrolls sideways must be reachable by keyboard (WCAG 2.1.1): long code lines, wide tables, long formulas.
// Which ones scroll is known only when the formulas are typeset, and changes with the width of the window. A formula in a
// line is a pixel or two wider than its box by rounding: that is no reason to stop at it.
const ROUNDING = 4; // px
const SCROLLING = ".highlight pre, .cell_output .output, div.math, .table-wrapper, mjx-container";

function reachByKeyboard() {
  for (const region of document.querySelectorAll(SCROLLING)) {
    const scrolls = region.scrollWidth > region.clientWidth + ROUNDING;
    if (scrolls) region.tabIndex = 0;
    else region.removeAttribute("tabindex");
    // What no key reaches must not scroll either, by those two pixels.
    if (region.matches("mjx-container")) region.style.overflow = scrolls ? "" : "visible";
  }
}

window.addEventListener("load", () => {
  reachByKeyboard();
  window.MathJax?.startup?.promise?.then(reachByKeyboard);
});
window.addEventListener("resize", reachByKeyboard);

// A link to a claim leads to a folded card: unfold it. On paper all are unfolded.
function unfoldTarget() {
  const card = document.querySelector("details.bn-card:target");
  if (!card) return;
  card.open = true;
  card.scrollIntoView();
}

window.addEventListener("load", unfoldTarget);
window.addEventListener("hashchange", unfoldTarget);
window.addEventListener("beforeprint", () => {
  for (const card of document.querySelectorAll("details.bn-card")) card.open = true;
});

// A figure that is too small to read, on a phone say, opens by itself, as large as it was drawn.
const SHOWN = ["figure", ".cell_output > .output >", ".cell_output > .output > picture >"];
document.addEventListener("DOMContentLoaded", () => {
  for (const image of document.querySelectorAll(SHOWN.map((place) => `article ${place} img`).join())) {
    if (image.closest("a, .bn-player") || !image.getAttribute("src") || image.src.startsWith("data:")) continue;
    const link = document.createElement("a");
    link.href = image.src;
    link.className = "bn-enlarge";
    link.title = "Enlarge";
    const shown = image.closest("picture") ?? image; // with its narrow form, where it has one
    shown.replaceWith(link);
    link.append(shown);
  }
});

// The theme's sidebar holds the way home and the search, and is no landmark.
document.addEventListener("DOMContentLoaded", () => {
  const sidebar = document.querySelector(".bd-sidebar-primary");
  sidebar?.setAttribute("role", "navigation");
  sidebar?.setAttribute("aria-label", "Book");
});

// The theme's fold of a page with pages below it in the sidebar has a picture for a name.
document.addEventListener("DOMContentLoaded", () => {
  for (const summary of document.querySelectorAll(".bd-sidebar summary:not([aria-label])")) {
    summary.setAttribute("aria-label", "pages below the one above");
  }
});
