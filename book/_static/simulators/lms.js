// Chapter 07: LMS and NLMS identify a filter while the power of their input changes, and changes back.
(() => {
  const LENGTH = 8, SAMPLES = 600, LOUD = [200, 400];
  const { number, dot } = bnlab;

  // W <- W - mu e x (LMS), W <- W - mu e x / ||x||^2 (NLMS), e = y - d; LMS's rate is mu over the power E||x||^2 = 8 at the start.
  const compute = ({ mu, loudness, noise, draw }) => {
    const normals = bnlab.normals(draw), solution = normals(LENGTH), long = Math.sqrt(dot(solution, solution));
    const weights = { LMS: Array(LENGTH).fill(0), NLMS: Array(LENGTH).fill(0) }, errors = { LMS: [1], NLMS: [1] };
    for (let n = 0; n < SAMPLES; n++) {
      const scale = n >= LOUD[0] && n < LOUD[1] ? loudness : 1;
      const x = normals(LENGTH).map(value => scale * value);
      const d = dot(x, solution) + noise * normals(1)[0];
      for (const [rule, W] of Object.entries(weights)) {
        const step = mu * (dot(x, W) - d) / (rule === "LMS" ? LENGTH : dot(x, x));
        for (let i = 0; i < LENGTH; i++) W[i] -= step * x[i];
        const away = Math.sqrt(W.reduce((sum, w, i) => sum + (w - solution[i]) ** 2, 0)) / long;
        errors[rule].push(Number.isFinite(away) ? away : Infinity); // inf - inf: no computer holds these weights
      }
    }
    return errors;
  };

  const outcome = ({ mu, loudness }, errors) => {
    const told = rule => {
      const [before, after] = LOUD.map(n => errors[rule][n]), ratio = after / before;
      const verb = !(ratio < 1.5) ? "grows" : ratio < 0.67 ? "falls" : "stays about the same";
      return `the error of ${rule} ${verb} (from ${number(before, 2)} to ${number(after, 2)})`;
    };
    const ends = Object.keys(errors).map(rule => `${rule} ${number(errors[rule][SAMPLES], 2)}`);
    return `From sample ${LOUD[0]} to ${LOUD[1]} the input has ${number(loudness ** 2)} times the power, and for LMS a rate of ${number(mu)} acts like ` +
      `one of ${number(mu * loudness ** 2)}: ${told("LMS")}, and ${told("NLMS")}. At the end: ${ends.join(", ")}.`;
  };

  bnlab.simulator("lms", {
    title: "LMS and NLMS under an input whose power changes",
    alt: "Distance of the weights from the solution over 600 samples, for LMS and NLMS, on a logarithmic axis.",
    legend: [{ series: 6, text: "LMS" }, { series: 7, text: "NLMS" }, { series: 5, text: "the distance at the start" }],
    sliders: [
      { key: "mu", label: "rate μ (LMS: over the power at the start)", min: 0.05, max: 2, step: 0.05, start: 0.5, say: mu => number(mu) },
      { key: "loudness", label: "input in the middle third", min: -1.5, max: 1.5, step: 0.05, start: 0.4, at: value => 10 ** value,
        say: value => `× ${number(value)}, power × ${number(value ** 2)}` },
      { key: "noise", label: "noise in the desired response", min: 0, max: 1, step: 0.05, start: 0.1, say: value => `standard deviation ${number(value)}` },
      { key: "draw", label: "draw of inputs and noise", min: 1, max: 20, step: 1, start: 1, say: value => `number ${value}` },
    ],
    axes: () => ({ x: { label: "sample n", min: 0, max: SAMPLES }, y: { label: "‖W − Wₒ‖ / ‖Wₒ‖", min: 1e-6, max: 1e4, log: true } }),
    compute,
    draw: (plot, { loudness }, errors) => {
      plot.band(...LOUD, `input × ${number(loudness)}`);
      plot.line([[0, 1], [SAMPLES, 1]], "bn-series-5");
      for (const [rule, series] of [["LMS", 6], ["NLMS", 7]]) {
        plot.line(errors[rule].map((error, n) => [n, Number.isFinite(error) ? error : 1e300]), `bn-series-${series}`);
      }
    },
    outcome,
    caption: "Make the input louder until LMS turns: in the mean square it is stable while μ times the power of the middle third stays below 1.6 " +
      "(2K/(K + 2) for K = 8 normal inputs). Make the input quieter, and LMS stands still where NLMS goes on. With more noise, which of the two pays for a large μ?",
  });
})();
