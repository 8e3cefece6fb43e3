// What the simulators share: seeded normal numbers, a frame with axes in SVG, sliders that say their value in words.
// A simulator hands `bnlab.simulator(name, …)` its sliders, a pure `compute` (settings to numbers, which the tests compare
// with the Python library), what to draw of them, and an outcome in words. Plain scripts: file:// allows no modules.
window.bnlab = { simulators: {} };

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const SHAPES = [
    r => `M${-r} 0A${r} ${r} 0 1 0 ${r} 0A${r} ${r} 0 1 0 ${-r} 0Z`,
    r => `M${-r} ${-r}H${r}V${r}H${-r}Z`,
    r => `M0 ${-1.2 * r}L${1.2 * r} ${r}H${-1.2 * r}Z`,
    r => `M0 ${-1.4 * r}L${1.4 * r} 0L0 ${1.4 * r}L${-1.4 * r} 0Z`,
  ];

  // Mulberry32 for uniform numbers, Box and Muller for normal ones: the same anywhere, by 32-bit integers.
  bnlab.normals = seed => {
    let state = seed | 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return count => Array.from({ length: count }, () => {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      return radius * Math.cos(2 * Math.PI * uniform());
    });
  };

  bnlab.dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

  // A number for people: three digits, powers of ten as people write them.
  bnlab.number = (value, digits = 3) => {
    if (!Number.isFinite(value)) return value > 0 ? "more than a computer can hold" : "not a number";
    const size = Math.abs(value);
    if (value !== 0 && (size < 1e-3 || size >= 1e5)) {
      const [front, power] = value.toExponential(Math.min(digits, 2) - 1).split("e");
      const raised = String(Number(power)).replace(/./g, sign => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? "⁻");
      return (Number(front) === 1 ? `10${raised}` : `${front}\u00a0·\u00a010${raised}`).replace(/^-/, "−");
    }
    return String(Number(value.toPrecision(digits))).replace("-", "−");
  };

  const make = (parent, tag, attributes = {}, text = "") => {
    const element = document.createElementNS(parent.namespaceURI, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return parent.appendChild(element);
  };

  const ticks = ({ min, max, log }) => {
    if (log) {
      const [low, high] = [Math.log10(min), Math.log10(max)].map(Math.round);
      const stride = Math.ceil((high - low) / 6);
      return Array.from({ length: Math.floor((high - low) / stride) + 1 }, (_, i) => 10 ** (low + i * stride));
    }
    const rough = (max - min) / 6, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find(times => times * power >= rough);
    const first = Math.ceil(min / step);
    return Array.from({ length: Math.floor(max / step) - first + 1 }, (_, i) => (first + i) * step);
  };

  // A frame with axes; gives back what draws in the units of the data. What leaves the frame is cut off.
  const frame = (svg, axes) => {
    const width = Math.max(svg.clientWidth, 240), height = Math.min(Math.max(0.55 * width, 270), 380);
    const [left, right, top, bottom] = [58, width - 12, 12, height - 44];
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    const scale = ({ min, max, log }, from, to) => value => {
      const [a, b, v] = log ? [min, max, Math.max(value, min / 1e6)].map(Math.log10) : [min, max, value];
      return from + (to - from) * Math.min(Math.max((v - a) / (b - a), -2), 3);
    };
    const x = scale(axes.x, left, right), y = scale(axes.y, bottom, top);
    for (const value of ticks(axes.x)) {
      make(svg, "line", { x1: x(value), x2: x(value), y1: top, y2: bottom, class: "bn-grid" });
      make(svg, "text", { x: x(value), y: bottom + 17, "text-anchor": "middle", class: "bn-tick-x" }, bnlab.number(value));
    }
    for (const value of ticks(axes.y)) {
      make(svg, "line", { x1: left, x2: right, y1: y(value), y2: y(value), class: "bn-grid" });
      make(svg, "text", { x: left - 7, y: y(value) + 4, "text-anchor": "end", class: "bn-tick-y" }, bnlab.number(value));
    }
    make(svg, "path", { d: `M${left} ${top}V${bottom}H${right}`, class: "bn-axis" });
    make(svg, "text", { x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, axes.x.label);
    make(svg, "text", { transform: `translate(13 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, axes.y.label);
    const clip = `${svg.id}-clip`;
    make(make(svg, "clipPath", { id: clip }), "rect", { x: left, y: top - 5, width: right - left + 6, height: bottom - top + 5 });
    const inside = make(svg, "g", { "clip-path": `url(#${clip})` });
    const path = points => points.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(2)} ${y(b).toFixed(2)}`).join("");
    return {
      line: (points, look) => make(inside, "path", { d: path(points), class: `bn-line ${look}` }),
      // Filled marks, or open ones where `open(point)` says so.
      marks: (points, series, open = () => false, r = 3.5) => {
        for (const point of points) {
          const at = `translate(${x(point[0]).toFixed(2)} ${y(point[1]).toFixed(2)})`;
          const look = `bn-mark bn-series-${series} ${open(point) ? "bn-open" : ""}`;
          make(inside, "path", { d: SHAPES[series](r), transform: at, class: look });
        }
      },
      band: (from, to, text) => {
        make(inside, "rect", { x: x(from), y: top, width: x(to) - x(from), height: bottom - top, class: "bn-band" });
        make(inside, "text", { x: (x(from) + x(to)) / 2, y: bottom - 8, "text-anchor": "middle" }, text);
      },
    };
  };

  // A piece of the figure beside its name: line and mark, or the mark alone ("dots", "open").
  const sample = (parent, series, drawn) => {
    const picture = document.createElementNS(SVG, "svg");
    for (const [name, value] of Object.entries({ width: 30, height: 12, "aria-hidden": "true" })) picture.setAttribute(name, value);
    if (!drawn) make(picture, "path", { d: "M1 6H29", class: `bn-line bn-series-${series}` });
    const look = `bn-mark bn-series-${series} ${drawn === "open" ? "bn-open" : ""}`;
    if (series in SHAPES) make(picture, "path", { d: SHAPES[series](3.5), transform: "translate(15 6)", class: look });
    parent.append(picture, " ");
  };

  // Fill the container <div class="bn-simulator" data-simulator="NAME">; what it held stays for paper.
  const build = (place, name, it) => {
    for (const child of place.children) child.classList.add("bn-static");
    const figure = make(place, "figure", { role: "group", "aria-label": `Simulator: ${it.title}` });
    make(figure, "p", { class: "bn-simulator-title" }, `Simulator: ${it.title}`);
    const svg = figure.appendChild(document.createElementNS(SVG, "svg"));
    for (const [key, value] of Object.entries({ id: `bn-simulator-${name}`, role: "img", width: "100%" })) svg.setAttribute(key, value);
    const legend = make(figure, "ul", { class: "bn-legend" });
    for (const { series, text, drawn } of it.legend) {
      const item = make(legend, "li");
      sample(item, series, drawn);
      item.append(text);
    }
    const controls = make(figure, "div", { class: "bn-sliders" });
    const sliders = it.sliders.map(({ key, label, min, max, step, start, series }) => {
      const row = make(controls, "div"), id = `bn-${name}-${key}`;
      const words = make(row, "label", { for: id });
      if (series !== undefined) sample(words, series);
      words.append(label);
      const input = make(row, "input", { type: "range", id, min, max, step });
      input.value = start;
      return { input, told: make(row, "output", { for: id }) };
    });
    const reset = make(controls, "button", { type: "button" }, "Reset");
    const outcome = make(figure, "p", { class: "bn-outcome", role: "status", "aria-live": "polite" });
    make(figure, "figcaption", {}, it.caption);

    let later = null;
    const redraw = () => {
      const at = (slider, i) => (it.sliders[i].at ?? (value => value))(slider.input.valueAsNumber);
      const settings = Object.fromEntries(sliders.map((slider, i) => [it.sliders[i].key, at(slider, i)]));
      const result = it.compute(settings);
      for (const [i, { input, told }] of sliders.entries()) {
        const words = it.sliders[i].say(settings[it.sliders[i].key], settings, result);
        input.setAttribute("aria-valuetext", words);
        told.value = words;
      }
      it.draw(frame(svg, it.axes(settings, result)), settings, result);
      const words = it.outcome(settings, result);
      svg.setAttribute("aria-label", `${it.alt} ${words}`);
      clearTimeout(later); // one announcement for a slider that travels
      later = setTimeout(() => { outcome.textContent = words; }, outcome.textContent ? 250 : 0);
    };
    controls.addEventListener("input", redraw);
    reset.addEventListener("click", () => {
      for (const [i, { input }] of sliders.entries()) input.value = it.sliders[i].start;
      redraw();
    });
    let width = 0;
    new ResizeObserver(() => {
      if (svg.clientWidth !== width) {
        width = svg.clientWidth;
        redraw();
      }
    }).observe(figure);
    redraw();
  };

  bnlab.simulator = (name, it) => {
    bnlab.simulators[name] = it;
    for (const place of document.querySelectorAll(`.bn-simulator[data-simulator="${name}"]`)) build(place, name, it);
  };
})();
