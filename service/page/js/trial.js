// --- the panel of one trial -------------------------------------------------------------------------

let pinned = null;   // {id, data}: a second trial whose samples are shown beside
const opened = new Map();

async function dataOf(id) {
  if (!opened.has(id)) opened.set(id, { ...(await unsqueeze(`t-${id}`)), found: await unsqueeze(`a-${id}`) });
  return opened.get(id);
}

async function openTrial(id) {
  state.trial = id;
  const trial = byId.get(id), data = await dataOf(id);
  if (state.trial !== id) return;  // another one was opened meanwhile
  history.replaceState?.(null, "", `#${id}`);
  // in the order of the table as it is now; a trial that is not in it leads to its first or last
  const step = by => {
    const at = tableOrder.indexOf(id), next = tableOrder.at(at < 0 ? (by > 0 ? 0 : -1) : (at + by) % tableOrder.length);
    if (next) openTrial(next);
  };
  const panel = $("trial"), hadFocus = panel.contains(document.activeElement);
  panel.dataset.open = id;
  panel.replaceChildren(
    make("div", { class: "controls" }, symbol(trial.phase, 18), make("h2", {}, nameOf(trial)), make("span", {}, trial.phase),
      make("button", { type: "button", title: "previous trial (←)", onclick: () => step(-1) }, "←"), make("button", { type: "button", title: "next trial (→)", onclick: () => step(1) }, "→"),
      make("button", { type: "button", "aria-pressed": String(pinned?.id === id), title: "keep the samples of this trial beside those of the next", onclick: () => { pinned = pinned?.id === id ? null : { id, data }; openTrial(id); } }, pinned?.id === id ? "unpin" : "pin to compare"),
      make("span", { class: "soft" }, id)),
    make("p", { class: "soft" }, facts(trial)),
    ...samplesOf(trial, data), ...trainingCurve(trial, data), ...analysesOf(data), ...settingsOf(trial, data));
  panel.onkeydown = event => {
    if (event.target.matches("input, select")) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  };
  if (hadFocus) panel.focus({ preventScroll: true });
  drawCurves();
  document.querySelectorAll(".mark.open, tr.open").forEach(node => node.classList.remove("open"));
  document.querySelectorAll(`.mark[data-trial="${id}"], tr[data-trial="${id}"]`).forEach(node => node.classList.add("open"));
  if (matchMedia("(max-width: 1100px)").matches && userHasActed) panel.scrollIntoView({ behavior: "smooth" });
}

const facts = t => ["val_acc_strict", "n_strict", "val_acc", "train_acc", "train_step", "val_step_strict", "lag"].filter(n => n in core.column && shown(t[n], n, t))
  .map(n => `${label(n)} ${shown(t[n], n, t)}`).join(" · ") + ` · ${t.steps_run.toLocaleString("en")} steps`;

function samplesOf(trial, data) {
  const blocks = [];
  const together = wanted => blocks.forEach(block => block.nearest?.(wanted));
  const other = pinned && pinned.id !== trial.trial_id ? pinned : null;
  if (!data.samples) return blocks;   // it draws no images
  blocks.push(samplesBlock(data.samples, "Samples over training", null, together, !other));
  if (!other) return blocks;
  // held-out pairs alone, so that both trials are seen at once
  const same = JSON.stringify(data.samples?.pairs) === JSON.stringify(other.data.samples?.pairs);
  blocks.push(samplesBlock(other.data.samples, `Pinned: ${nameOf(byId.get(other.id))}, ${byId.get(other.id).phase}`, null, together, false));
  if (!same) blocks.push(make("p", { class: "soft" }, "Other pairs: with another data fraction, modulus or seed other pairs are held out. grok sample draws any pair by any trial."));
  return blocks;
}

let trialLog = true;
const ACCURACY = { train_acc: TRAIN, val_acc: VAL, val_acc_strict: STRICT, val_acc_strict_heldout: ORANGE, mem_share: ORANGE };
function trainingCurve(trial, data) {
  if (!data.curve) return [];
  const figure = make("figure");
  const names = core.curve_names[data.config.family];
  const series = Object.entries(names.accuracies).filter(([name]) => name in ACCURACY && data.curve[name]).map(([name, title]) => [name, title, ACCURACY[name]]);
  const losses = [["loss", "training", GRAY], ["val_loss", "validation", VAL]].filter(([name]) => data.curve[name]);
  const draw = () => {
    const rows = rowsOf(data.curve).filter(r => r.step > 0 || !trialLog), first = rows[0]?.step ?? 1, last = rows.at(-1)?.step ?? 1;
    const ends = [["confusion", first, data.train_step ?? last], ["memorization", data.train_step, data.strict_step ?? last], [trial.phase, data.strict_step, last]]
      .filter(([, from, to]) => from !== null && from !== undefined && to > from).map(([phase, from, to]) => ({ phase, from, to }));
    const points = rows.flatMap(r => series.map(([name, title]) => ({ step: r.step, name: title, value: r[name] }))).filter(p => p.value !== null);
    figure.replaceChildren(Plot.plot({ width: 560, height: 230, marginLeft: 48, marginTop: 26, style: plotStyle,
      x: { type: trialLog ? "log" : "linear", label: "training step", tickFormat: d => d.toLocaleString("en"), ticks: 6 }, y: { domain: [0, 1], label: `share of ${names.share_of}`, grid: true }, color: legend(series),
      marks: [Plot.rect(ends, { x1: "from", x2: "to", y1: 0, y2: 1, fill: e => COLOR[e.phase], fillOpacity: 0.13 }),
        Plot.text(ends.filter(e => trialLog ? e.to / Math.max(e.from, 1) > 1.35 : e.to - e.from > last / 7), { x: e => trialLog ? Math.sqrt(Math.max(e.from, 1) * e.to) : (e.from + e.to) / 2, y: 1, dy: -8, text: "phase", fontSize: 10 }),
        Plot.ruleY([0.95], { strokeDasharray: "2 3" }), Plot.lineY(points, { x: "step", y: "value", stroke: "name", strokeWidth: 1.8, tip: true })] }),
    Plot.plot({ width: 560, height: 110, marginLeft: 48, style: plotStyle, x: { type: trialLog ? "log" : "linear", label: null, tickFormat: d => d.toLocaleString("en"), ticks: 6 }, y: { type: "log", label: "loss", grid: true, ticks: 3, tickFormat: plain },
      color: legend(losses), marks: [Plot.lineY(lines(rows, losses).filter(r => r.value > 0), { x: "step", y: "value", stroke: "name", tip: true })] }),
    make("figcaption", {}, `Shaded: ${names.stages}. Dotted: 0.95, which counts as learned.`));
  };
  draw();
  const box = make("input", { type: "checkbox", checked: trialLog, id: "trial-log", onchange: event => { trialLog = event.target.checked; draw(); } });
  return [make("h3", {}, "Accuracy and loss"), make("label", { class: "soft" }, box, " logarithmic steps"), figure];
}

function analysesOf(data) {
  if (!data.found) return [make("p", { class: "soft" }, core.state ? "Analyses follow the training." : "No analysis of this trial is on this page: grok analyze does them, grok figures draws them.")];
  return Object.entries(ANALYSIS).filter(([name]) => data.found[name]).flatMap(([name, draw]) => draw(data.found[name], data.found));
}

function settingsOf(trial, data) {
  const list = entries => make("dl", {}, ...entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  const out = [];
  if (data.command) {
    const text = make("pre", {}, data.command);
    out.push(make("h3", {}, "Train it again"), text, make("button", { type: "button", onclick: async event => { try { await navigator.clipboard.writeText(data.command); event.target.textContent = "copied"; } catch { getSelection().selectAllChildren(text); } } }, "copy"));
  }
  if (core.links.mlflow) out.push(make("p", {}, make("a", { href: core.links.mlflow.replace("TRIAL", trial.trial_id), target: "_blank", rel: "noopener" }, "this trial in MLflow"), make("span", { class: "soft" }, " (while grok ui serves it)")));
  if (data.config) out.push(make("h3", {}, "Non-default settings"), list(Object.entries(data.unusual)), make("details", {}, make("summary", {}, "all settings"), make("div", { class: "scroll" }, list(Object.entries(data.config)))));
  return out;
}
