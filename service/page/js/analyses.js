// --- what analyses found of a trial -----------------------------------------------------------------

const TRAIN = "#0072b2", VAL = "#cc79a7", STRICT = "#009e73", RED = "#d55e00", ORANGE = "#e69f00", SKY = "#56b4e9", GRAY = "#999999";

// Columns to rows.
const rowsOf = table => table[Object.keys(table)[0]].map((_, i) => Object.fromEntries(Object.entries(table).map(([name, values]) => [name, values[i]])));

function chart(title, caption, options) {
  return make("figure", {}, make("h3", {}, title), Plot.plot({ width: 560, height: 210, marginLeft: 48, style: plotStyle, ...options }), make("figcaption", {}, caption));
}

const plain = d => String(+d.toPrecision(3));
const stepAxis = () => ({ type: "log", label: "training step", tickFormat: d => d.toLocaleString("en"), ticks: 5 });
const lines = (rows, series) => rows.flatMap(row => series.filter(([name]) => row[name] !== null && row[name] !== undefined && !(row.step === 0)).map(([name, title]) => ({ ...row, name: title, value: row[name] })));
// Series that were measured.
const there = (rows, series) => series.filter(([name]) => rows.some(row => row[name] !== null && row[name] !== undefined));
const legend = series => ({ domain: series.map(([, title]) => title), range: series.map(([, , color]) => color), legend: true });

const ANALYSIS = {
  spectra({ places, frequencies }) {
    const heads = places.filter(p => /\.score\[a\]$/.test(p.hook) && p.head >= 0).map(p => {
      const other = places.find(o => o.hook === p.hook.replace("[a]", "[b]") && o.head === p.head);
      return { ...p, share: p.share.map((v, i) => (v + (other?.share[i] ?? v)) / 2), key: [...new Set([...p.key, ...(other?.key ?? [])])] };
    });
    const order = d3.sort(heads, h => d3.maxIndex(h.share), h => -d3.max(h.share)).map((h, i) => ({ ...h, row: `${h.hook.split(".")[0]} head ${h.head}` }));
    const sites = places.filter(p => p.head < 0).map(p => ({ ...p, row: p.hook }));
    return [["Heads and their frequencies", "Share of its in-frequency power that the attention score of each head has at each frequency, at t = 1, mean over both operands. Dots: key frequencies, beyond chance (classes in random order).", order],
      ["Hook points and their frequencies", "The same of every hook point without heads.", sites]]
      .filter(([, , rows]) => rows.length).map(([title, caption, rows]) => heat(title, caption, rows, frequencies));
  },
  heads(table) {
    const rows = rowsOf(table).flatMap(r => [["no intervention", r.acc_strict], ["patched from another pair", r.acc_strict_patched], ["replaced by its mean", r.acc_strict_ablated]]
      .map(([what, value]) => ({ head: `block${r.block} head ${r.head}`, what, value })));
    return [chart("What each head does for the answer", "Accuracy on strict pairs (of images, by one-step samples) when one head's output is replaced.", {
      height: 40 + 22 * new Set(rows.map(r => r.head)).size, marginLeft: 90, x: { domain: [0, 1], label: "accuracy on strict pairs", grid: true }, y: { label: null },
      color: { domain: ["no intervention", "patched from another pair", "replaced by its mean"], range: [GRAY, RED, TRAIN], legend: true }, symbol: { domain: ["no intervention", "patched from another pair", "replaced by its mean"], range: ["plus", "circle", "square"] },
      marks: [Plot.dot(rows.filter(r => r.value !== null), { x: "value", y: "head", stroke: "what", symbol: "what", r: 4, tip: true })] })];
  },
  progress(table) {
    const rows = rowsOf(table);
    const losses = [["train_loss", "training pairs", TRAIN], ["strict_loss", "strict pairs", STRICT], ["restricted_loss", "restricted", ORANGE], ["excluded_loss", "excluded", SKY]];
    const accs = there(rows, [["strict_acc", "strict", STRICT], ["restricted_acc_within_split", "strict, restricted", ORANGE], ["excluded_acc", "training, excluded", SKY]]);
    return [
      chart("Restricted and excluded loss", "Squared error per pixel at t = 1; of token models cross-entropy. Restricted: only the rule at the dominant frequencies is kept; excluded: it is removed.",
        { x: stepAxis(), y: { type: "log", label: "loss", grid: true, tickFormat: plain, ticks: 4 }, color: legend(losses), marks: [Plot.lineY(lines(rows, losses), { x: "step", y: "value", stroke: "name", marker: "dot", tip: true })] }),
      chart("Restricted and excluded accuracy", "Of images, by one-step samples.",
        { x: stepAxis(), y: { domain: [0, 1], label: "accuracy", grid: true }, color: legend(accs), marks: [Plot.lineY(lines(rows, accs), { x: "step", y: "value", stroke: "name", marker: "dot", tip: true })] })];
  },
  identities(table) {
    const rows = rowsOf(table);
    const series = [["cos_cos", "cos cos", TRAIN], ["sin_sin", "sin sin", RED], ["cos_sin", "cos sin", ORANGE], ["sin_cos", "sin cos", SKY]];
    const bars = rows.flatMap(r => series.map(([name, title]) => ({ k: r.frequency, name: title, value: r[name] })));
    return [chart("Identities before the non-linearity", "Neurons along the direction that writes cos(w c), regressed on products of cos and sin of a and b: cos(w(a+b)) = cos cos - sin sin. Dots: key frequencies.",
      { x: { axis: null }, fx: { label: "frequency k" }, y: { label: "coefficient", grid: true }, color: legend(series),
        marks: [Plot.barY(bars, { fx: "k", x: "name", y: "value", fill: "name", tip: true }), Plot.ruleY([0]), Plot.dot(rows.filter(r => r.is_key), { fx: "frequency", x: () => "cos cos", y: 0, frameAnchor: "bottom", fill: "currentColor", r: 3, dy: 6 })] })];
  },
  ablations(table) {
    const rows = rowsOf(table), clean = rows.find(r => r.mode === "none");
    const mine = rows.filter(r => r.mode !== "none").map(r => ({ ...r, place: `${r.hook}: ${r.n_frequencies}` }));
    const places = new Set(mine.map(r => r.place)).size;
    return [chart("Frequencies removed, or kept alone", "Accuracy on strict pairs (of images, by one-step samples) with the strongest frequencies of a hook point (how many stands behind it) removed or kept; gray: as many random ones, mean and range. A rule that uses them falls without them and stays with them alone.",
      { height: 60 + 17 * places, width: 600, marginLeft: 150, marginRight: 20, fx: { label: null }, x: { domain: [0, 1], label: "accuracy on strict pairs", grid: true }, y: { label: null },
        color: { domain: ["top", "random"], range: [TRAIN, GRAY], legend: true },
        marks: [...(clean ? [Plot.ruleX([clean.mean], { stroke: STRICT, strokeDasharray: "3 3" })] : []),
          Plot.link(mine.filter(r => r.selection === "random"), { fx: "mode", x1: "min", x2: "max", y1: "place", y2: "place", stroke: GRAY, strokeWidth: 3, strokeOpacity: 0.5 }),
          Plot.dot(mine, { fx: "mode", x: "mean", y: "place", fill: "selection", r: 3.5, tip: true })] })];
  },
  timesteps(table, all) {
    const rows = d3.sort(rowsOf(table), r => r.level), series = [["recover_acc", "recover: from the right result", TRAIN], ["rectify_acc", "rectify: from a wrong result", RED]];
    const critical = all.critical ? rowsOf(all.critical)[0] : {};
    const points = rows.flatMap(r => series.map(([name, title]) => ({ level: r.level, name: title, value: r[name] }))).filter(r => r.value !== null);
    const out = [chart("Started from the right or from a wrong result", `Noised to a level (of ${rows.length - 1}), then sampled: share that ends at a + b.${critical.observed != null ? ` Dashed: critical level observed, ${critical.observed}, the last below 0.5 %.` : ""}`,
      { x: { label: "noise-step index at the start" }, y: { domain: [0, 1], label: "accuracy", grid: true }, color: legend(series),
        marks: [...(critical.observed != null ? [Plot.ruleX([critical.observed], { strokeDasharray: "4 3" })] : []), Plot.lineY(points, { x: "level", y: "value", stroke: "name", tip: true })] })];
    if (critical.predicted != null) out.push(chart("Entropy of the frequencies", `FVE entropy of the FFN before its non-linearity. Dotted: steepest change, the critical level predicted, ${critical.predicted}.`,
      { height: 140, x: { label: "noise-step index" }, y: { domain: [0, 1], label: "entropy", grid: true }, marks: [Plot.ruleX([critical.predicted], { strokeDasharray: "1 3" }), Plot.lineY(rows, { x: "level", y: "entropy", stroke: GRAY })] }));
    else out.push(make("p", { class: "soft" }, "FVE entropy hardly moves over all levels: there is nothing to predict a critical level from."));
    return out;
  },
  swaps(table) {
    const series = [["old_share", "old sum", SKY], ["new_share", "new sum", STRICT], ["neither_share", "neither", GRAY]];
    const rows = rowsOf(table).flatMap(r => series.map(([name, title]) => ({ level: r.level, name: title, value: r[name] })));
    return [chart("Operands exchanged on the way", "Whose sum the sample follows, by the level at which the operands are exchanged.", { height: 170, x: { label: "noise-step index" }, y: { domain: [0, 1], label: "share of samples", grid: true }, color: legend(series), marks: [Plot.lineY(rows, { x: "level", y: "value", stroke: "name", tip: true })] })];
  },
  blocked(table) {
    return [chart("Arithmetic blocked in a part of sampling", "Accuracy on strict pairs with the neurons' dominant frequencies removed while t is above, or not above, t*.", { height: 170, x: { label: "t*" }, y: { domain: [0, 1], label: "accuracy", grid: true }, color: { range: [ORANGE, TRAIN], legend: true }, marks: [Plot.lineY(rowsOf(table).filter(r => r.val_acc_strict !== null), { x: "t", y: "val_acc_strict", stroke: "when", marker: "dot", tip: true })] })];
  },
  basins(table) {
    const series = [["copy_share", "a training image", RED], ["rule_share", "new, right class", STRICT], ["neither_share", "neither", GRAY]];
    return [chart("Where random starts end", "Left strict pairs (of rules: images that do not train), right training ones.", { height: 170, fx: { label: null, domain: ["strict", "train"] }, x: stepAxis(), y: { domain: [0, 1], label: "share of starts", grid: true }, color: legend(series), marks: [Plot.lineY(lines(rowsOf(table), series), { fx: "pairs", x: "step", y: "value", stroke: "name", marker: "dot", tip: true })] })];
  },
  complexity(table) {
    const rows = rowsOf(table).filter(r => r.step > 0 && /value|out|up|down/.test(r.matrix));
    return [chart("Complexity of weights", "Stable rank: squared Frobenius norm over squared largest singular value.", { height: 190, x: stepAxis(), y: { label: "stable rank", grid: true }, color: { legend: true, scheme: "Observable10" }, marks: [Plot.lineY(rows, { x: "step", y: "stable_rank", stroke: "matrix", marker: "dot", tip: true })] })];
  },
  representation(table) {
    const rows = rowsOf(table).filter(r => r.step > 0 && r.merger !== null);
    return rows.length ? [chart("States of one result merge", "RMS distance of pairs with the same result over that of pairs with different ones, at t = 1: 0 merged.", { height: 190, x: stepAxis(), y: { label: "merger ratio", grid: true, zero: true }, color: { legend: true, scheme: "Observable10" }, marks: [Plot.lineY(rows, { x: "step", y: "merger", stroke: "hook", marker: "dot", tip: true })] })] : [];
  },
  denoiser(table) {
    const series = [["gaussian", "Gaussian of all results", TRAIN], ["unconditional", "all images, not a and b", ORANGE], ["right_class", "the right class", STRICT], ["linear_operands", "linear, a and b too", SKY]];
    const rows = rowsOf(table).flatMap(r => series.map(([name, title]) => ({ t: r.t, name: title, value: r[name] }))).filter(r => r.value !== null);
    return [chart("What explains the learned denoiser", "Share of the variance of its prediction that denoisers explain which know less, by noise level, at the end of training; below 0: worse than its mean.",
      { x: { label: "noise level t" }, y: { domain: [-0.2, 1], clamp: true, label: "share", grid: true }, color: legend(series), marks: [Plot.ruleY([0]), Plot.lineY(rows, { x: "t", y: "value", stroke: "name", marker: "dot", clip: true, tip: true })] })];
  },
  skips(table) {
    const rows = rowsOf(table).flatMap(r => [["training", r.train_acc], ["strict", r.val_acc_strict]].map(([pairs, value]) => ({ ...r, pairs, value }))).filter(r => r.value !== null);
    return [chart("First steps of sampling skipped", "Accuracy of samples of 20 steps, the first of which are not the network's: the flow of a Gaussian of all results instead, that of their mean alone, or nothing (fewer steps). Left training, right strict pairs.",
      { height: 170, fx: { label: null, domain: ["training", "strict"] }, x: { label: "steps skipped" }, y: { domain: [0, 1], label: "accuracy", grid: true }, color: { domain: ["gaussian", "mean", "fewer"], range: [TRAIN, ORANGE, GRAY], legend: true }, marks: [Plot.lineY(rows, { fx: "pairs", x: "skipped", y: "value", stroke: "start", marker: "dot", tip: true })] })];
  },
  spectral_bias(table) {
    return [chart("When principal components are learned", "Step by which the error along each principal component of the results is half of the first, by its variance and the noise level of the input.",
      { x: { type: "log", label: "variance", tickFormat: plain }, y: { type: "log", label: "training step", grid: true, tickFormat: d => d.toLocaleString("en"), ticks: 4 }, color: { legend: true, type: "ordinal", scheme: "viridis", label: "t" }, marks: [Plot.dot(rowsOf(table), { x: "variance", y: "step_half", stroke: "t", tip: true })] })];
  },
  dictionaries(table) {
    const series = [["stability", "stability over seeds", RED], ["rule_fve", "explained by the result", STRICT], ["frequency_fve", "by one frequency", TRAIN], ["result_fve", "by one result", ORANGE]];
    const rows = rowsOf(table).flatMap(r => series.map(([name, title]) => ({ dictionary: r.dictionary, name: title, value: r[name] }))).filter(r => r.value !== null);
    return [chart("Dictionaries of the neurons", "Sparse autoencoders of the neurons that write the answer: cosine of an atom with the nearest of another seed, and what share of an atom's activation over (a, b) the result, its best frequency and its best value explain.",
      { height: 190, marginLeft: 130, x: { domain: [0, 1], label: "share", grid: true }, y: { label: null }, color: legend(series), marks: [Plot.dot(rows, { x: "value", y: "dictionary", stroke: "name", tip: true })] })];
  },
  automata(table) {
    const states = [["states", "states", TRAIN], ["minimal_states", "of the smallest equal automaton", RED]], shares = [["merged", "pairs of equal parity that have merged", ORANGE], ["acc_1000", "accuracy at length 1,000", STRICT]];
    const rows = rowsOf(table);
    return [
      chart("The automaton inside the network", "Hidden states after all training sequences that lie within 0.01 of the spread are one state. The smallest equal automaton is known once every state has its successors.",
        { x: stepAxis(), y: { type: "log", label: "states", grid: true, ticks: 4, tickFormat: plain }, color: legend(states), marks: [Plot.lineY(lines(rows, states), { x: "step", y: "value", stroke: "name", marker: "dot", tip: true })] }),
      chart("States merge, and long sequences come right", "Sequences of equal parity have the same right answer whatever follows.",
        { height: 170, x: stepAxis(), y: { domain: [0, 1], label: "share", grid: true }, color: legend(shares), marks: [Plot.lineY(lines(rows, shares), { x: "step", y: "value", stroke: "name", marker: "dot", tip: true })] })];
  },
  learning_coefficient(table) {
    const values = table.llc.filter(v => v !== null);
    return values.length ? [make("p", {}, `Local learning coefficient: ${values.map(v => shown(v)).join(", ")} (a chain each; below 0: not at a minimum).`)] : [];
  },
};

function heat(title, caption, rows, frequencies) {
  const cells = rows.flatMap(r => r.share.map((share, i) => ({ row: r.row, k: frequencies[i], share, key: r.key.includes(frequencies[i]), chance: r.chance, p: r.p })));
  return chart(title, caption, { height: 46 + 17 * rows.length, width: Math.min(600, 150 + 34 * frequencies.length), marginLeft: 130, padding: 0.06,
    x: { label: "frequency k", type: "band", ticks: frequencies.filter((_, i) => i % Math.ceil(frequencies.length / 24) === 0) }, y: { label: null, domain: rows.map(r => r.row) },
    color: { domain: [0, 1], scheme: "blues" },
    marks: [Plot.cell(cells, { x: "k", y: "row", fill: "share", title: c => `${c.row}, k = ${c.k}\nshare ${c.share}\nby chance, 95 %: ${c.chance}\np of the dominant: ${c.p}`, tip: true }),
      Plot.dot(cells.filter(c => c.key), { x: "k", y: "row", fill: c => c.share > 0.5 ? "white" : "black", r: 2.5 })] });
}
