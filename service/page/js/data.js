// --- data: what the page was given, and what is chosen of it --------------------------------------

const $ = id => document.getElementById(id);

// Elements by tag, attributes and children; text is escaped by the browser.
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

async function unsqueeze(id) {
  const node = $(id);
  if (!node) return null;
  const bytes = Uint8Array.from(atob(node.textContent), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const core = await unsqueeze("core");
const COLOR = Object.fromEntries(core.phases.map(p => [p.name, p.color]));
const SYMBOL = { confusion: d3.symbolCircle, memorization: d3.symbolSquare, grokking: d3.symbolStar,
  comprehension: d3.symbolDiamond, diverged: d3.symbolTimes };  // told apart without color too
const AXIS = Object.fromEntries(core.axes.map(axis => [axis.name, axis]));
const SHORT = { weight_decay: "wd", train_fraction: "R", width: "width", P: "P", N: "N" };

// One object per trial: settings, phase and numbers side by side, as a filter names them.
const trials = core.trial.map((id, i) => {
  const row = { index: i, trial_id: id, seed: core.seed[i], phase: core.phase[i], steps_run: core.last[i] };
  Object.assign(row, core.fixed);
  for (const [name, values] of Object.entries(core.setting)) row[name] = values[i];
  for (const [name, values] of Object.entries(core.column)) row[name] = values[i];
  return row;
});
const byId = new Map(trials.map(trial => [trial.trial_id, trial]));
const label = name => core.numbers[name] ?? name.replaceAll("_", " ");
const nameOf = trial => [...core.axes.map(a => `${SHORT[a.name] ?? a.name.replaceAll("_", " ")} ${trial[a.name]}`),
  `seed ${trial.seed}`].join(" · ");

function shown(value, name, trial) {
  if (core.words[name] && trial) return core.words[name][trial.index] ?? "";
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? value.toLocaleString("en") : Math.abs(value) < 0.001 ? value.toExponential(1) : String(+value.toPrecision(3));
}

// What is chosen. `change` redraws what depends on it.
const state = { x: null, y: null, panels: "", show: "phase", filter: () => true, off: new Set(), fixed: {},
  cells: null, trial: null, curve: "strict", logSteps: true, sort: { name: "val_acc_strict", order: -1 } };

const inFilter = t => state.filter(t) && !state.off.has(t.phase)
  && Object.entries(state.fixed).every(([name, value]) => value === "" || String(t[name]) === value);
const cellOf = t => [state.panels, state.x, state.y].filter(Boolean).map(name => `${name}=${t[name]}`).join(";") || "all";
const inChoice = t => inFilter(t) && (!state.cells || state.cells.has(cellOf(t)));

// A symbol of a phase as a small SVG.
function symbol(phase, size = 12) {
  const svg = d3.create("svg").attr("viewBox", "-6 -6 12 12").attr("width", size).attr("height", size).attr("aria-hidden", "true");
  svg.append("path").attr("d", d3.symbol(SYMBOL[phase], 50)()).attr("fill", COLOR[phase])
    .attr("stroke", phase === "diverged" ? COLOR[phase] : null);
  return svg.node();
}

const tip = $("tip");
function tipAt(event, text) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - box.width - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - box.height - 8)}px`;
}

const plotStyle = { background: "transparent", color: "inherit", fontSize: "11px", overflow: "visible" };
