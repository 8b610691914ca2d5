// --- table of the chosen trials -------------------------------------------------------------------

const PAGE = 100;
let tableRows = PAGE, tableOrder = [];
const TABLE_COLUMNS = [...core.axes.map(a => a.name), "seed", "phase", ...Object.keys(core.column)];

function drawTable() {
  const { name, order } = state.sort;
  const empty = v => v === null || v === undefined;
  // `> 3000`, not by step 3,000, stands behind 3,000
  const value = t => core.words[name] ? core.words[name][t.index] && Number(core.words[name][t.index].replace("> ", "")) + (core.words[name][t.index][0] === ">" ? 0.5 : 0) : t[name];
  const rows = trials.filter(inChoice).sort((a, b) => {
    const [p, q] = [value(a), value(b)];
    if (empty(p) || empty(q)) return empty(p) - empty(q);  // what is not measured comes last
    return order * (typeof p === "number" ? p - q : String(p).localeCompare(String(q)));
  });
  tableOrder = rows.map(t => t.trial_id);
  const head = TABLE_COLUMNS.map(c => make("th", { scope: "col", tabindex: 0, "data-order": c === name ? order : null, onclick: () => sortBy(c),
    onkeydown: event => { if (event.key === "Enter") sortBy(c); } }, label(c)));
  const body = rows.slice(0, tableRows).map(t => make("tr", { "data-trial": t.trial_id, tabindex: 0, class: t.trial_id === state.trial ? "open" : null,
    onclick: () => openTrial(t.trial_id), onkeydown: event => tableKey(event, t) },
    ...TABLE_COLUMNS.map(c => c === "phase" ? make("td", {}, symbol(t.phase), ` ${t.phase}`) : make("td", {}, shown(t[c], c, t)))));
  $("table").replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)));
  const left = rows.length - tableRows;
  $("more").replaceChildren(...(left > 0 ? [make("button", { type: "button", onclick: () => { tableRows += 5 * PAGE; drawTable(); } }, `${left.toLocaleString("en")} more`)] : []));
}

function sortBy(name) {
  state.sort = { name, order: state.sort.name === name ? -state.sort.order : name in core.column ? -1 : 1 };
  drawTable();
}

function tableKey(event, trial) {
  if (event.key === "Enter") openTrial(trial.trial_id);
  const other = event.key === "ArrowDown" ? event.currentTarget.nextElementSibling : event.key === "ArrowUp" ? event.currentTarget.previousElementSibling : null;
  if (other) { event.preventDefault(); other.focus(); }
}
