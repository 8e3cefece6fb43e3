// A region that scrolls sideways must be reachable by keyboard (WCAG 2.1.1): long code lines and wide tables.
document.addEventListener("DOMContentLoaded", () => {
  for (const region of document.querySelectorAll(".highlight pre, .cell_output .output, div.math, .table-wrapper")) {
    if (region.scrollWidth > region.clientWidth) region.tabIndex = 0;
  }
});
