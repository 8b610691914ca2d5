// --- map: a plane of two axes; a cell has one mark per seed ---------------------------------------

// Where values stand on an axis: evenly by log10 or by value, whichever is nearer to even; words in order.
// A value of 0 on a log axis has a place of its own, below a break.
function axisOf(name) {
  const values = AXIS[name]?.values ?? [""];
  const even = values.map((_, i) => i);
  const numbers = values.every(v => typeof v === "number");
  if (!numbers || values.length < 3) return { values, at: even, log: false, kind: "" };
  const positive = values.filter(v => v > 0);
  const spread = places => { const gaps = d3.pairs(places, (a, b) => b - a); return d3.max(gaps) / d3.min(gaps); };
  const logs = positive.map(Math.log10);
  const isWide = values[0] >= 0 && positive.length > 1 && d3.max(positive) / d3.min(positive) >= 10;
  const log = isWide && (positive.length < 3 || spread(logs) < spread(positive));
  if (!log) return { values, at: values, log, kind: "linear" };
  const step = (logs.at(-1) - logs[0]) / (logs.length - 1);
  return { values, at: values.map(v => v > 0 ? Math.log10(v) : logs[0] - step), log, kind: "log" };
}

// Edges of cells: half way between neighbors.
function edges(at) {
  if (at.length === 1) return [at[0] - 0.5, at[0] + 0.5];
  const middle = d3.pairs(at, (a, b) => (a + b) / 2);
  return [2 * at[0] - middle[0], ...middle, 2 * at.at(-1) - middle.at(-1)];
}

const median = values => { const known = values.filter(v => v !== null && v !== undefined); return known.length ? d3.median(known) : null; };

function scaleOf(name) {
  if (name === "phase") return null;
  const values = trials.map(t => t[name]).filter(v => v !== null && v !== undefined);
  if (name in core.column && values.every(v => v >= 0 && v <= 1)) return d3.scaleSequential([0, 1], d3.interpolateCividis);
  return d3.scaleSequential(d3.extent(values), d3.interpolateCividis);
}

function drawMap() {
  const place = $("map"), focused = document.activeElement?.dataset?.cell;
  place.replaceChildren();
  const panels = state.panels ? AXIS[state.panels].values : [null];
  const scale = scaleOf(state.show);
  const drawn = trials.filter(inFilter);
  const room = Math.max(280, Math.min(place.clientWidth || 640, 760));
  for (const panel of panels) {
    const mine = panel === null ? drawn : drawn.filter(t => t[state.panels] === panel);
    place.append(plane(mine, panel, scale, panels.length > 1 ? Math.max(280, room / Math.min(panels.length, 2) - 12) : room));
  }
  const kinds = [["x", state.x], ["y", state.y]].map(([which, name]) => [name, axisOf(name).kind]).filter(([, kind]) => kind === "log");
  if (focused) place.querySelector(`[data-cell="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  $("map-note").textContent = "One mark per trial, colored and shaped by its phase. Click a cell to narrow curves and table to it, a mark to open its trial; drag for several cells."
    + kinds.map(([name]) => ` ${label(name)} is logarithmic${AXIS[name].values[0] === 0 ? ", 0 apart" : ""}.`).join("");
}

function plane(mine, panel, scale, width) {
  const X = axisOf(state.x), Y = axisOf(state.y);
  const nx = X.values.length, ny = Y.values.length;
  const margin = { left: state.y ? 62 : 12, right: 10, top: panel === null ? 8 : 22, bottom: 40 };
  const inner = Math.min(width - margin.left - margin.right, nx * 110);
  const tall = Math.min(Math.max(ny * 46, 60), 460);
  const ex = edges(X.at), ey = edges(Y.at);
  const sx = d3.scaleLinear([ex[0], ex.at(-1)], [0, inner]), sy = d3.scaleLinear([ey[0], ey.at(-1)], [tall, 0]);
  const svg = d3.create("svg").attr("width", inner + margin.left + margin.right).attr("height", tall + margin.top + margin.bottom)
    .attr("role", "group").attr("aria-label", `map of ${label(state.show)}`);
  const g = svg.append("g").attr("transform", `translate(${margin.left},${margin.top})`);
  if (panel !== null) svg.append("text").attr("x", margin.left).attr("y", 13).attr("font-weight", 600).text(`${label(state.panels)} ${panel}`);
  const groups = d3.group(mine, t => t[state.x] ?? "", t => t[state.y] ?? "");
  X.values.forEach((vx, i) => Y.values.forEach((vy, j) => {
    const found = (groups.get(vx)?.get(vy) ?? []).toSorted((a, b) => a.seed - b.seed);
    if (found.length) cell(g, found, [sx(ex[i]), sy(ey[j + 1]), sx(ex[i + 1]) - sx(ex[i]), sy(ey[j]) - sy(ey[j + 1])], scale);
  }));
  ticks(g, X, sx, inner, tall, true);
  if (state.y) ticks(g, Y, sy, tall, inner, false);
  if (state.x) g.append("text").attr("class", "axis-name").attr("x", inner / 2).attr("y", tall + 34).attr("text-anchor", "middle").text(label(state.x));
  if (state.y) g.append("text").attr("class", "axis-name").attr("transform", `translate(${-margin.left + 12},${tall / 2}) rotate(-90)`).attr("text-anchor", "middle").text(label(state.y));
  brush(svg.node());
  return svg.node();
}

function ticks(g, axis, scale, length, across, isX) {
  let last = -Infinity;
  const order = isX ? axis.values.map((_, i) => i) : axis.values.map((_, i) => i).reverse();
  const need = isX ? 34 : 13;
  for (const i of order) {
    const at = scale(axis.at[i]);
    if (at - last < need) continue;  // labels must not lie on each other
    last = at;
    const text = g.append("text").text(shown(axis.values[i]));
    if (isX) text.attr("x", at).attr("y", across + 15).attr("text-anchor", "middle");
    else text.attr("x", -6).attr("y", at + 4).attr("text-anchor", "end");
  }
  if (axis.log && axis.values[0] === 0) {  // the break between 0 and the first value
    const at = (scale(axis.at[0]) + scale(axis.at[1])) / 2, mark = g.append("text").attr("class", "axis-name").text("⁄⁄");
    if (isX) mark.attr("x", at).attr("y", across + 15).attr("text-anchor", "middle"); else mark.attr("x", -10).attr("y", at + 4).attr("text-anchor", "end");
  }
}

function cell(g, found, [x, y, w, h], scale) {
  const key = cellOf(found[0]), words = cellWords(found);
  const node = g.append("g").attr("class", "cell").attr("data-cell", key).attr("tabindex", 0).attr("role", "button").attr("aria-label", words.replaceAll("\n", ", "))
    .classed("chosen", state.cells?.has(key)).classed("off", Boolean(state.cells) && !state.cells.has(key));
  const fill = scale && median(found.map(t => t[state.show]));
  const rect = node.append("rect").attr("x", x).attr("y", y).attr("width", Math.max(w, 1)).attr("height", Math.max(h, 1)).attr("rx", Math.min(4, w / 5));
  if (scale) rect.style("fill", fill === null ? "var(--panel)" : scale(fill));
  const single = scale ? fill === null ? "" : shown(fill) : "";
  const hasText = single && w > 34 && h > 30;
  if (hasText) node.append("text").attr("x", x + w / 2).attr("y", y + h - 6).attr("text-anchor", "middle").style("fill", d3.lab(scale(fill)).l > 60 ? "#000" : "#fff").text(single);
  marks(node, found, x, y, w, hasText ? h - 16 : h);
  const openCell = more => choose([key], more);
  node.on("click", event => { if (!event.target.dataset.trial) openCell(event.shiftKey); })
    .on("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); openCell(event.shiftKey); openTrial(found[0].trial_id); } })
    .on("pointermove", event => tipAt(event, event.target.dataset.trial ? trialWords(byId.get(event.target.dataset.trial)) : words))
    .on("pointerleave", event => tipAt(event, ""));
}

// Marks in rows that fill the cell; where there is no room for them, stripes as wide as the shares.
function marks(node, found, x, y, w, h) {
  const size = Math.min(15, Math.sqrt(w * h / found.length) * 0.85, w - 2, h - 2);
  if (size < 5) {
    let left = x;
    for (const [phase, group] of d3.group(found, t => t.phase)) {
      const part = w * group.length / found.length;
      node.append("rect").attr("x", left).attr("y", y).attr("width", part).attr("height", h).style("fill", COLOR[phase]).style("stroke", "none")
        .attr("class", "mark").attr("data-trial", group[0].trial_id).on("click", () => openTrial(group[0].trial_id));
      left += part;
    }
    return;
  }
  const columns = Math.max(1, Math.min(found.length, Math.floor(w / (size + 2)))), rows = Math.ceil(found.length / columns);
  const down = Math.min(size + 3, h / rows);
  found.forEach((trial, i) => {
    const cx = x + w / 2 + (i % columns - (Math.min(columns, found.length) - 1) / 2) * Math.min(size + 3, w / columns);
    const cy = y + h / 2 + (Math.floor(i / columns) - (rows - 1) / 2) * down;
    node.append("path").attr("class", "mark").classed("open", state.trial === trial.trial_id).attr("data-trial", trial.trial_id)
      .attr("transform", `translate(${cx},${cy})`).attr("d", d3.symbol(SYMBOL[trial.phase], size * size * 0.62)())
      .attr("fill", COLOR[trial.phase]).style("stroke", trial.phase === "diverged" ? COLOR.diverged : null)
      .on("click", event => { event.stopPropagation(); openTrial(trial.trial_id); });
  });
}

function cellWords(found) {
  const where = [state.panels, state.x, state.y].filter(Boolean).map(name => `${label(name)} ${found[0][name]}`).join(", ");
  const phases = core.phases.map(p => [p.name, found.filter(t => t.phase === p.name).length]).filter(([, n]) => n).map(([name, n]) => `${n} ${name}`).join(", ");
  const lines = ["val_acc_strict", "lag", state.show].filter((name, i, all) => name in core.column && all.indexOf(name) === i).map(name => {
    const texts = found.map(t => shown(t[name], name, t)).filter(Boolean);
    return texts.length ? `${label(name)}: ${texts.slice(0, 8).join(", ")}${texts.length > 8 ? " …" : ""}` : "";
  }).filter(Boolean);
  return [where, phases, ...lines].filter(Boolean).join("\n");
}

const trialWords = t => [nameOf(t), t.phase, ...["val_acc_strict", "train_step", "val_step_strict", "lag"].filter(n => n in core.column)
  .map(n => `${label(n)}: ${shown(t[n], n, t) || "-"}`)].join("\n");

function choose(keys, more) {
  const all = more && state.cells ? new Set(state.cells) : new Set();
  const again = !more && state.cells?.size === keys.length && keys.every(key => state.cells.has(key));
  keys.forEach(key => all.has(key) && more && keys.length === 1 ? all.delete(key) : all.add(key));
  state.cells = again || !all.size ? null : all;
  change();
}

// A drag over the map chooses the cells that it meets.
function brush(svg) {
  let start = null, frame = null;
  svg.addEventListener("pointerdown", event => { if (event.button === 0) start = [event.clientX, event.clientY]; });
  svg.addEventListener("pointermove", event => {
    if (!start || Math.hypot(event.clientX - start[0], event.clientY - start[1]) < 5) return;
    if (!frame) { svg.setPointerCapture(event.pointerId); frame = d3.select(svg).append("rect").attr("fill", "var(--accent)").attr("fill-opacity", 0.15).attr("stroke", "var(--accent)"); }
    const box = svg.getBoundingClientRect();
    const [x0, x1] = [start[0], event.clientX].sort((a, b) => a - b), [y0, y1] = [start[1], event.clientY].sort((a, b) => a - b);
    frame.attr("x", x0 - box.left).attr("y", y0 - box.top).attr("width", x1 - x0).attr("height", y1 - y0);
  });
  svg.addEventListener("pointerup", event => {
    if (frame) {
      const box = frame.node().getBoundingClientRect();
      const met = [...svg.querySelectorAll("[data-cell]")].filter(node => {
        const c = node.querySelector("rect").getBoundingClientRect();
        return c.left < box.right && c.right > box.left && c.top < box.bottom && c.bottom > box.top;
      }).map(node => node.dataset.cell);
      svg.addEventListener("click", click => click.stopPropagation(), { capture: true, once: true });
      if (met.length) choose(met, event.shiftKey); else frame.remove();
    }
    start = frame = null;
  });
}
