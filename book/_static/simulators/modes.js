// Chapter 04: four natural modes v_k(n) = (1 - mu lambda_k)^n, for a rate and a spectrum that the reader chooses.
(() => {
  const STEPS = 40, MODES = [1, 2, 3, 4];
  const { number } = bnlab;

  const compute = settings => {
    const { mu } = settings, eigenvalues = MODES.map(k => settings[`lambda${k}`]);
    const factors = eigenvalues.map(value => 1 - mu * value);
    const total = eigenvalues.reduce((a, b) => a + b);
    const sizes = factors.map(Math.abs);
    const paths = factors.map(factor => Array.from({ length: STEPS + 1 }, (_, n) => factor ** n));
    // J - J_min = 1/2 sum lambda_k v_k^2, in units of its start, where every mode is one
    const loss = paths[0].map((_, n) => eigenvalues.reduce((sum, value, k) => sum + value * paths[k][n] ** 2, 0) / total);
    const largest = Math.max(...eigenvalues), smallest = Math.min(...eigenvalues);
    return { eigenvalues, factors, paths, loss, bound: 2 / largest, best: 2 / (smallest + largest),
      slowest: sizes.indexOf(Math.max(...sizes)), growing: sizes.filter(size => size > 1 + 1e-12).length };
  };

  const outcome = ({ mu }, { eigenvalues, factors, loss, bound, best, slowest, growing }) => {
    const factor = Math.abs(factors[slowest]), sides = `μ = ${number(mu)}, and 2/λmax = ${number(bound)}`;
    const left = `After ${STEPS} steps the loss exceeds its minimum by ${number(loss[STEPS], 2)} times what it did at the start.`;
    if (growing) {
      return `Unstable: ${sides}. ${growing} of 4 modes ${growing > 1 ? "grow" : "grows"}, the fastest by a factor of ${number(factor)} a step. ${left}`;
    }
    if (factor > 1 - 1e-9) return `On the edge: ${sides}. The mode of the largest eigenvalue only changes its sign. ${left}`;
    const ends = { [Math.min(...eigenvalues)]: "the smallest eigenvalue", [Math.max(...eigenvalues)]: "the largest eigenvalue" };
    const halving = factor > 0 ? Math.log(0.5) / Math.log(factor) : 0;
    return `Stable: ${sides}. The slowest mode is that of ${ends[eigenvalues[slowest]] ?? "a middle eigenvalue"}, ` +
      `halved in ${number(halving, 2)} steps. ${left} The best rate for this spectrum is ${number(best)}.`;
  };

  bnlab.simulator("modes", {
    title: "natural modes of a spectrum of your own",
    alt: "Size of four modes and of the loss over 40 steps, on a logarithmic axis.",
    legend: [{ series: 4, text: "loss above its minimum, relative to the start" }, { series: 5, text: "where all start; open marks: the mode has changed its sign" }],
    sliders: [
      { key: "mu", label: "rate μ (1 / power)", min: 0.02, max: 3, step: 0.01, start: 1.2,
        say: (mu, _, { bound }) => `${number(mu)} per power, ${number(mu / bound, 2)} of the bound` },
      ...MODES.map((k, i) => ({ key: `lambda${k}`, label: `eigenvalue λ${"₁₂₃₄"[i]} (power)`, series: i, min: 0.02, max: 1.5, step: 0.02,
        start: [0.1, 0.3, 0.6, 1][i], say: (value, _, { factors }) => `${number(value)}, factor ${number(factors[i])} a step` })),
    ],
    axes: () => ({ x: { label: "step n", min: 0, max: STEPS }, y: { label: "|vₖ(n)| / |vₖ(0)|", min: 1e-6, max: 1e4, log: true } }),
    compute,
    draw: (plot, _, { paths, loss }) => {
      plot.line([[0, 1], [STEPS, 1]], "bn-series-5");
      for (const [k, path] of paths.entries()) {
        const points = path.map((v, n) => [n, Math.abs(v), v]);
        plot.line(points, `bn-series-${k}`);
        plot.marks(points.filter(point => point[1] > 1e-6), k, point => point[2] < 0);
      }
      plot.line(loss.map((value, n) => [n, value]), "bn-series-4");
    },
    outcome,
    caption: "Raise μ through 2/λmax: which mode turns round first, and what do the other three do? Then keep the rate and shape the spectrum: " +
      "lower the largest eigenvalue until the loss falls again, or raise the smallest and see how little the loss cares.",
  });
})();
