// --- curves: an accuracy of every chosen trial over its steps --------------------------------------

const MOST_LINES = 600;  // more could not be told apart

function drawCurves() {
  const chosen = trials.filter(inChoice);
  const every = Math.ceil(chosen.length / MOST_LINES);
  const drawn = chosen.filter((_, i) => i % every === 0);
  const points = drawn.flatMap(t => core.curve.step[t.index].map((step, k) => ({ trial: t, phase: t.phase, step, value: core.curve[state.curve][t.index][k] })))
    .filter(p => p.value !== null && (p.step > 0 || !state.logSteps));
  const figure = $("curves");
  if (!points.length) return figure.replaceChildren(make("p", { class: "soft" }, "No trial is chosen that has this curve."));
  const chart = Plot.plot({
    width: Math.max(320, figure.clientWidth), height: 240, marginLeft: 44, style: plotStyle,
    x: { type: state.logSteps ? "log" : "linear", label: "training step", tickFormat: d => d.toLocaleString("en"), ticks: 6 },
    y: { domain: [0, 1], label: core.curve_titles[state.curve], grid: true },
    color: { domain: core.phases.map(p => p.name), range: core.phases.map(p => p.color) },
    marks: [
      Plot.ruleY([0.95], { strokeDasharray: "2 3", strokeOpacity: 0.6 }),
      Plot.line(points, { x: "step", y: "value", z: p => p.trial.trial_id, stroke: "phase", strokeWidth: p => p.trial.trial_id === state.trial ? 3 : 1.3, strokeOpacity: drawn.length > 80 ? 0.4 : 0.85 }),
      Plot.tip(points, Plot.pointer({ x: "step", y: "value", title: p => `${nameOf(p.trial)}\n${p.phase}\nstep ${p.step.toLocaleString("en")}: ${p.value}`, fill: "var(--paper)" })),
    ],
  });
  chart.addEventListener("click", () => { if (chart.value) openTrial(chart.value.trial.trial_id); });
  figure.replaceChildren(chart, make("figcaption", {}, every > 1 ? `${drawn.length} of ${chosen.length} trials are drawn.` : "Click a line to open its trial."));
}
