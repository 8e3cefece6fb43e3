// The ledger's table is whole without this: here it gets a search, filters, an order, and addresses for all of them.
const FILTERS = { document: "Document", chapter: "Chapter", verdict: "Verdict", kind: "Kind", scale: "Decided by", draws: "Other draws" };
const WORDS = {
  kind: { I: "I identity", T: "T theorem", X: "X trend", H: "H headline" },
  scale: { quick: "quick run", full: "full scale", undecided: "nothing yet" },
  draws: { steady: "agree", moves: "overturn it, or of earlier code", none: "none on record" },
};

function setUpLedger(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const asked = new URLSearchParams(location.search);
  const bar = document.createElement("form");
  bar.className = "bn-filters";
  bar.setAttribute("role", "search");
  bar.setAttribute("aria-label", "Claims of the ledger");
  bar.addEventListener("submit", (event) => event.preventDefault());

  const search = labelled(bar, "Search id or words", document.createElement("input"));
  search.type = "search";
  search.value = asked.get("q") ?? "";
  const selects = Object.fromEntries(
    Object.entries(FILTERS).map(([name, label]) => [name, choice(bar, name, label, rows, asked.get(name))]),
  );
  const clear = document.createElement("button");
  clear.type = "button";
  clear.textContent = "Show all";
  bar.append(clear);
  const said = document.createElement("p");
  said.setAttribute("aria-live", "polite");
  table.before(bar, said);

  function show() {
    const words = search.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = Object.entries(selects).every(([name, select]) => !select.value || row.dataset[name] === select.value);
      row.hidden = !(fits && (!words || row.textContent.toLowerCase().includes(words)));
      shown += !row.hidden;
    }
    said.textContent = shown === rows.length ? `${shown} claims.` : `${shown} of ${rows.length} claims.`;
  }

  function remember() {
    const chosen = new URLSearchParams();
    if (search.value.trim()) chosen.set("q", search.value.trim());
    for (const [name, select] of Object.entries(selects)) if (select.value) chosen.set(name, select.value);
    const query = chosen.toString();
    try {
      history.replaceState(null, "", location.pathname + (query ? `?${query}` : "") + location.hash);
    } catch {} // a browser that allows no history to a file: the filters work, without an address
    show();
  }

  function showAll() {
    search.value = "";
    for (const select of Object.values(selects)) select.value = "";
    remember();
  }

  function unfold() {
    const row = rows.find((one) => `#${one.id}` === decodeURIComponent(location.hash));
    if (!row) return;
    if (row.hidden) showAll();
    row.querySelector("details").open = true;
    row.scrollIntoView();
  }

  bar.addEventListener("input", remember);
  clear.addEventListener("click", showAll);
  window.addEventListener("hashchange", unfold);
  for (const [place, head] of [...table.tHead.rows[0].cells].entries()) sortable(head, place, body, rows);
  show();
  unfold();
}

function labelled(bar, text, field) {
  const label = document.createElement("label");
  label.append(`${text} `, field);
  bar.append(label);
  return field;
}

function choice(bar, name, label, rows, chosen) {
  const select = labelled(bar, label, document.createElement("select"));
  select.add(new Option("all", ""));
  const counts = new Map();
  for (const row of rows) counts.set(row.dataset[name], (counts.get(row.dataset[name]) ?? 0) + 1);
  const values = name === "chapter" ? [...counts.keys()].sort() : [...counts.keys()];
  for (const value of values) select.add(new Option(`${WORDS[name]?.[value] ?? value} (${counts.get(value)})`, value));
  if (counts.has(chosen)) select.value = chosen;
  return select;
}

// A heading that sorts is a button in it; aria-sort says which way. A third press gives the book's order back.
function sortable(head, place, body, rows) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  head.replaceChildren(button);
  button.addEventListener("click", () => {
    const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort") ?? "none"];
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    const key = (row) => row.cells[place].textContent;
    const ordered = next === "none" ? rows : [...rows].sort((a, b) => key(a).localeCompare(key(b), "en", { numeric: true }));
    if (next === "descending") ordered.reverse();
    if (next !== "none") head.setAttribute("aria-sort", next);
    body.append(...ordered);
  });
}

window.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.bn-ledger")) setUpLedger(table);
});
