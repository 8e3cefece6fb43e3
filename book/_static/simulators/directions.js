// Chapter 01: the backward pass of one channel: of the gradient g from above, its mean and its part along x̂ are removed.
(() => {
  const { number, dot } = bnlab;
  const mean = values => values.reduce((a, b) => a + b) / values.length;
  const percent = share => `${number(100 * share, 2)} %`;

  // dL/dx = (g - mean(g) - x̂ mean(g x̂)) gamma / sqrt(sigma^2 + eps), gamma = 1; x is drawn with standard deviation sigma exactly.
  const compute = ({ m, offset, slope, sigma, eps }) => {
    const normals = bnlab.normals(1), pairs = Array.from({ length: m }, () => normals(2));
    const raw = pairs.map(pair => pair[0]), middle = mean(raw);
    const width = Math.sqrt(mean(raw.map(value => (value - middle) ** 2)));
    const x = raw.map(value => sigma * (value - middle) / width);
    const gain = 1 / Math.sqrt(sigma ** 2 + eps), xhat = x.map(value => gain * value);
    const g = pairs.map((pair, i) => offset + slope * x[i] / sigma + pair[1]);
    const level = mean(g), along = mean(g.map((value, i) => value * xhat[i]));
    const left = g.map((value, i) => value - level - along * xhat[i]);
    const power = dot(g, g);
    const shares = { mean: m * level ** 2 / power, along: dot(g, xhat) ** 2 / dot(xhat, xhat) / power, left: dot(left, left) / power };
    // What epsilon leaves of the part along x̂: 1 - sigma^2 / (sigma^2 + eps)
    return { x, g, xhat, level, along, left, gain, dx: left.map(value => gain * value), shares, kept: eps / (sigma ** 2 + eps) };
  };

  const outcome = ({ m }, { gain, shares, kept }) =>
    `Of the squared length of g, ${percent(shares.mean)} lies in its mean and ${percent(shares.along)} along x̂. ` +
    (kept < 0.005 ? "Both are removed" : `The mean is removed, and of the part along x̂ all but ${percent(kept)} of its length, which is the work of ε`) +
    `; ${shares.left < 1e-12 ? "nothing" : percent(shares.left)} is left. Two directions of ${m} would hold ${percent(2 / m)} of a gradient without a pattern. ` +
    `What is left goes down multiplied by 1/√(σ² + ε) = ${number(gain)}.`;

  bnlab.simulator("directions", {
    title: "two directions of many",
    alt: "Gradient from above and what is left of it, against the normalised input, with the line that is removed.",
    legend: [{ series: 0, drawn: "dots", text: "g, from above" }, { series: 4, text: "what is removed: mean and part along x̂" }, { series: 1, drawn: "open", text: "what is left, ahead of the division by √(σ² + ε)" }],
    sliders: [
      { key: "m", label: "values in the channel, m", min: 2, max: 64, step: 1, start: 16, say: m => `${m} values` },
      { key: "offset", label: "the same gradient for all", min: -2, max: 2, step: 0.1, start: 0.5, say: value => `${number(value)} per unit of y` },
      { key: "slope", label: "a gradient that grows with x̂", min: -2, max: 2, step: 0.1, start: 0.8, say: value => `${number(value)} per standard deviation` },
      { key: "sigma", label: "standard deviation σ of x", min: -2, max: 1, step: 0.05, start: 0, at: value => 10 ** value, say: value => `${number(value, 2)} in units of x` },
      { key: "eps", label: "ε", min: -8, max: 0, step: 0.25, start: -5, at: value => 10 ** value, say: value => `${number(value, 2)} in units of x²` },
    ],
    axes: (_, { g, left }) => {
      const reach = [3, 6, 9].find(limit => [...g, ...left].every(value => Math.abs(value) <= limit)) ?? 12;
      return { x: { label: "normalised input x̂ᵢ", min: -3.5, max: 3.5 }, y: { label: "gradient ∂L/∂yᵢ", min: -reach, max: reach } };
    },
    compute,
    draw: (plot, _, { g, xhat, level, along, left }) => {
      plot.line([[-3.5, 0], [3.5, 0]], "bn-series-5");
      for (const [i, value] of xhat.entries()) plot.line([[value, g[i]], [value, level + along * value]], "bn-thin");
      plot.line([-3.5, 3.5].map(value => [value, level + along * value]), "bn-series-4");
      plot.marks(xhat.map((value, i) => [value, left[i]]), 1, () => true);
      plot.marks(xhat.map((value, i) => [value, g[i]]), 0);
    },
    outcome,
    caption: "The backward pass fits a line to the gradients and passes on what lies off it. Raise or tilt the gradients: nothing of that arrives. " +
      "Set both to zero, and let m go from 64 down to 2: how much is left of a gradient without a pattern? Then make σ small, once above √ε and once below.",
  });
})();
