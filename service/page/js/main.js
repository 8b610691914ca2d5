// --- controls, and what redraws what ------------------------------------------------------------------

let userHasActed = false;
addEventListener("pointerdown", () => { userHasActed = true; }, { capture: true });
addEventListener("keydown", () => { userHasActed = true; }, { capture: true });

function change() {
  tableRows = PAGE;
  drawMap(); drawCurves(); drawTable();
  const n = trials.filter(inChoice).length;
  $("count").textContent = n === trials.length ? `${n.toLocaleString("en")} trials` : `${n.toLocaleString("en")} of ${trials.length.toLocaleString("en")} trials`;
}

function select(title, values, value, onchange) {
  const node = make("select", { onchange: event => { onchange(event.target.value); change(); } }, ...values.map(([v, text]) => make("option", { value: v, selected: v === value }, text)));
  return make("label", {}, `${title} `, node);
}

function drawControls() {
  const axes = [...core.axes.map(a => a.name), "seed"].filter(name => AXIS[name]);
  const options = axes.map(name => [name, label(name)]);
  const rest = axes.filter(name => ![state.x, state.y, state.panels].includes(name));
  const numbers = [["phase", "phase"], ...Object.keys(core.column).map(name => [name, label(name)])];
  const pick = which => value => { const old = state[which]; for (const other of ["x", "y", "panels"]) if (other !== which && state[other] === value) state[other] = old; state[which] = value; state.cells = null; drawControls(); };
  $("map-controls").replaceChildren(
    ...(axes.length > 1 ? [select("x", options, state.x, pick("x")), select("y", [["", "none"], ...options], state.y ?? "", value => pick("y")(value || null))] : []),
    ...(axes.length > 2 ? [select("panels", [["", "none"], ...options], state.panels, pick("panels"))] : []),
    select("color", numbers, state.show, value => { state.show = value; }),
    ...rest.map(name => select(label(name), [["", "all"], ...AXIS[name].values.map(v => [String(v), String(v)])], state.fixed[name] ?? "", value => { state.fixed[name] = value; })));
}

function drawHeader() {
  $("phases").replaceChildren(...core.phases.map(p => [p.name, trials.filter(t => t.phase === p.name).length]).filter(([, n]) => n).map(([name, n]) =>
    make("button", { type: "button", class: "chip", "aria-pressed": "true", title: `show or hide ${name}`, onclick: event => {
      state.off.has(name) ? state.off.delete(name) : state.off.add(name);
      event.currentTarget.setAttribute("aria-pressed", String(!state.off.has(name)));
      change();
    } }, symbol(name), `${n} ${name}`)));
  $("state").textContent = core.state && `${core.state}; reload for what came since`;
  if (core.links.mlflow) $("link").append(make("a", { href: core.links.sweep, target: "_blank", rel: "noopener" }, "MLflow"));
  $("filter").addEventListener("input", event => {
    try {
      state.filter = parseFilter(event.target.value);
      $("filter-error").textContent = "";
      event.target.removeAttribute("aria-invalid");
      change();
    } catch (error) {
      state.filter = () => true;  // half of what was meant would mislead
      change();
      $("filter-error").textContent = `${error.message} (all are shown)`;
      event.target.setAttribute("aria-invalid", "true");
    }
  });
  $("reset").addEventListener("click", () => {
    Object.assign(state, { filter: () => true, off: new Set(), fixed: {}, cells: null });
    $("filter").value = ""; $("filter-error").textContent = ""; $("filter").removeAttribute("aria-invalid");
    document.querySelectorAll("#phases .chip").forEach(chip => chip.setAttribute("aria-pressed", "true"));
    drawControls(); change();
  });
  $("curve-controls").append(
    make("label", {}, "curve ", make("select", { onchange: event => { state.curve = event.target.value; drawCurves(); } }, ...Object.entries(core.curve_titles).map(([v, text]) => make("option", { value: v }, text)))),
    make("label", {}, make("input", { type: "checkbox", checked: true, onchange: event => { state.logSteps = event.target.checked; drawCurves(); } }), " logarithmic steps"));
  $("fixed").append(...Object.entries(core.fixed).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]));
}

function drawAccounts() {
  const grid = (title, head, rows) => make("details", {}, make("summary", {}, title), make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...head.map(h => make("th", {}, h)))), make("tbody", {}, ...rows.map(row => make("tr", {}, ...row.map(v => make("td", {}, String(v)))))))));
  if (core.costs?.length) $("accounts").append(grid("What the analyses took", ["analysis", "trials", "s per trial (median)"], core.costs));
  if (core.failures?.length) $("accounts").append(grid("Analyses that failed", ["trial", "analysis", "error", "message"], core.failures));
}

if (new Set(core.seed).size > 1) AXIS.seed = { name: "seed", meaning: "seed", unit: "", values: [...new Set(core.seed)].sort((a, b) => a - b) };
const byCount = d3.sort(core.axes, a => -a.values.length).map(a => a.name);
state.x = byCount[0] ?? (AXIS.seed ? "seed" : null);
state.y = byCount[1] ?? null;
if (!state.y && state.x !== "seed" && AXIS.seed && core.axes.length === 0) state.y = null;
state.panels = byCount.length > 2 && AXIS[byCount[2]].values.length <= 4 ? byCount[2] : "";
drawHeader(); drawControls(); drawAccounts(); change();
addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(() => { drawMap(); drawCurves(); }, 150); });
let resizing = 0;
const asked = location.hash.slice(1), begun = trials.filter(t => asked && t.trial_id.startsWith(asked)).map(t => t.trial_id);
if (asked && begun.length !== 1) $("filter-error").textContent = `no trial begins with ${asked}: a typical one is open`;
const wanted = begun.length === 1 ? begun[0]
  : ["grokking", "comprehension"].map(p => core.typical.find(id => byId.get(id)?.phase === p)).find(Boolean) ?? core.typical[0];
if (wanted) await openTrial(wanted);
document.documentElement.dataset.ready = "true";
