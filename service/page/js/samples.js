// --- samples: operands, target and what was drawn, over training -----------------------------------

// Gray values 0 ... 15, two to a byte, as ink on paper.
function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0)), out = new Uint8Array(2 * bytes.length);
  bytes.forEach((byte, i) => { out[2 * i] = byte >> 4; out[2 * i + 1] = byte & 15; });
  return out;
}

function paint(canvas, gray, first, side) {
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d"), image = context.createImageData(side, side);
  for (let i = 0; i < side * side; i++) {
    image.data.fill(255 - 17 * gray[first + i], 4 * i, 4 * i + 3);
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

const KIND = { strict: "strict pairs", validation: "validation pairs whose mirror trains", train: "training pairs" };

// A block with a slider over the snapshots. Several blocks are kept in step by `onStep`.
function samplesBlock(data, title, step, onStep, withTraining = true) {
  if (!data?.steps.length) return make("p", { class: "soft" }, `${title}: no samples are kept of this trial on this page; grok sample draws them.`);
  const area = data.side * data.side, pairs = data.pairs, n = pairs.length;
  const known = unpacked(data.known), drawn = unpacked(data.drawn);
  const boxes = pairs.map(([kind, a, b, c], q) => {
    const canvases = ["a", "b", "c", "drawn"].map(() => make("canvas"));
    [0, 1, 2].forEach(k => paint(canvases[k], known, (k * n + q) * area, data.side));
    ["image of a", "image of b", "target", "sample"].forEach((what, k) => { canvases[k].title = what; canvases[k].setAttribute("role", "img"); });
    const said = make("span", { class: "said" });
    return { kind, canvas: canvases[3], said, c, node: make("div", { class: "sample" }, ...canvases, make("span", { class: "said" }, `${a} ∘ ${b} = ${c}`), said) };
  });
  const slider = make("input", { type: "range", min: 0, max: data.steps.length - 1, step: 1, "aria-label": `snapshot of ${title}`, "data-slider": true });
  const text = make("output", { class: "soft" });
  function show(k) {
    slider.value = k;
    let right = 0;
    boxes.forEach((box, q) => {
      const at = k * n + q, read = data.sampled[at], isRight = read === box.c;
      right += isRight && box.kind !== "train";
      paint(box.canvas, drawn, at * area, data.side);
      box.canvas.className = isRight ? "right" : "wrong";
      box.canvas.setAttribute("aria-label", `sample, read as ${read}`);
      box.said.textContent = isRight ? `✓ reads ${read}` : `✗ reads ${read ?? "nothing"}`;
      box.said.className = `said ${isRight ? "right-text" : "wrong-text"}`;
    });
    text.textContent = `step ${data.steps[k].toLocaleString("en")}: ${right} of ${boxes.filter(b => b.kind !== "train").length} held-out pairs right`;
  }
  slider.addEventListener("input", () => { show(+slider.value); onStep?.(data.steps[+slider.value], show); });
  const nearest = wanted => { const k = d3.bisectRight(data.steps, wanted) - 1; show(Math.max(0, k)); };
  let timer = null;
  const play = make("button", { type: "button", "aria-label": "play over training", onclick: () => {
    if (timer) { clearInterval(timer); timer = null; play.textContent = "▶"; return; }
    if (+slider.value === data.steps.length - 1) slider.value = -1;
    play.textContent = "❚❚";
    timer = setInterval(() => {
      if (!slider.isConnected || +slider.value >= data.steps.length - 1) { clearInterval(timer); timer = null; play.textContent = "▶"; return; }
      slider.value = +slider.value + 1;
      slider.dispatchEvent(new Event("input"));
    }, 600);
  } }, "▶");
  const groups = d3.groups(boxes.filter(b => withTraining || b.kind !== "train"), b => b.kind).map(([kind, mine]) => make("div", {}, make("div", { class: "soft" }, KIND[kind]), make("div", { class: "samples" }, ...mine.map(b => b.node))));
  nearest(step ?? Infinity);
  const node = make("div", { class: "samples-block" }, make("h3", {}, title), make("div", { class: "controls" }, play, slider, text), ...groups);
  node.nearest = nearest;
  return node;
}
