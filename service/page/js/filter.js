// --- filter: `weight_decay >= 2 and (phase == "grokking" or not seed in [0, 1])` ------------------

const FIELDS = ["trial_id", "seed", "phase", "steps_run", ...Object.keys(core.setting), ...Object.keys(core.column), ...Object.keys(core.fixed)];

// What a trial has to compare: of `> 3000`, not by step 3,000, is known that it is more.
function compared(trial, name, sign, right) {
  const value = trial[name];
  if (value !== null && value !== undefined) return COMPARE[sign](value, right);
  const words = core.words[name]?.[trial.index];
  return Boolean(words) && (sign === ">" || sign === ">=") && Number(words.slice(2)) >= right;
}
const TOKEN = /\s*(?:(and|or|not|in)\b|([A-Za-z_]\w*)|(-?\d+\.?\d*(?:e[+-]?\d+)?|-?\.\d+)|"([^"]*)"|'([^']*)'|(>=|<=|==|!=|=|<|>|[()\[\],&|]))/iy;

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const at = TOKEN.lastIndex, part = TOKEN.exec(text);
    if (!part) throw new Error(`cannot read "${text.slice(at).trim().slice(0, 20)}"`);
    const [, word, name, number, double, single, sign] = part;
    if (word) found.push({ kind: word.toLowerCase() });
    else if (name) found.push({ kind: "name", value: name });
    else if (number !== undefined) found.push({ kind: "value", value: Number(number) });
    else if (sign) found.push({ kind: { "&": "and", "|": "or", "=": "==" }[sign] ?? sign });
    else found.push({ kind: "value", value: double ?? single });
  }
  return found;
}

const COMPARE = { "==": (a, b) => same(a, b), "!=": (a, b) => !same(a, b), "<": (a, b) => a < b, ">": (a, b) => a > b,
  "<=": (a, b) => a <= b, ">=": (a, b) => a >= b };
const same = (a, b) => a === b || String(a).toLowerCase() === String(b).toLowerCase();

// A function of a trial. Throws an Error that says what was wrong and what would be right.
function parseFilter(text) {
  const list = tokens(text);
  let place = 0;
  const peek = () => list[place]?.kind, next = () => list[place++];
  const expect = kind => { if (peek() !== kind) throw new Error(`need ${kind} ${place < list.length ? `before "${list[place].value ?? peek()}"` : "at the end"}`); return next(); };
  const either = () => { let left = both(); while (peek() === "or") { next(); const [a, b] = [left, both()]; left = t => a(t) || b(t); } return left; };
  const both = () => { let left = one(); while (peek() === "and") { next(); const [a, b] = [left, one()]; left = t => a(t) && b(t); } return left; };
  const one = () => {
    if (peek() === "not") { next(); const inner = one(); return t => !inner(t); }
    if (peek() === "(") { next(); const inner = either(); expect(")"); return inner; }
    return comparison();
  };
  const comparison = () => {
    const left = expect("name").value;
    if (!FIELDS.includes(left)) throw new Error(`unknown field "${left}"; one of ${FIELDS.join(", ")}`);
    if (peek() === "in") {
      next(); expect("[");
      const values = [literal()];
      while (peek() === ",") { next(); values.push(literal()); }
      expect("]");
      return t => values.some(value => same(t[left], value));
    }
    const sign = peek();
    if (!(sign in COMPARE)) throw new Error(`after ${left} need one of ${Object.keys(COMPARE).join(" ")} or in`);
    next();
    const right = literal();
    return t => compared(t, left, sign, right);
  };
  const literal = () => { const token = next(); if (token?.kind === "value" || token?.kind === "name") return token.value; throw new Error("need a number or a word to compare with"); };
  if (!list.length) return () => true;
  const found = either();
  if (place < list.length) throw new Error(`need and / or before "${list[place].value ?? peek()}"`);
  return found;
}
