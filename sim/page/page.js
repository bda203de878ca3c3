"use strict";
(() => {
const meta = JSON.parse(document.getElementById("meta").textContent);
const element = (id) => document.getElementById(id);

/* ---- data: the tables of this page ---------------------------------------------------------- */

/* RFC 4180, as far as the tables go. */
function parse(text) {
  const rows = [];
  let row = [], cell = "", quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') { cell += c; i++; }
      else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ",") { row.push(cell); cell = ""; }
    else if (c === "\n") { row.push(cell); rows.push(row); row = []; cell = ""; }
    else cell += c;
  }
  const names = rows.shift();
  return rows.map((r) => Object.fromEntries(names.map((name, i) => [name,
    name === "name" || name === "label" || name.endsWith("sha256") ? r[i]
      : r[i] === "" ? null : Number(r[i])])));
}
const table = (name) => parse(element("csv-" + name).textContent);
const evaluations = table("evaluations");
const details = {};
for (const name of ["peers", "classes", "edges", "links", "staleness"]) details[name] = table(name);
const of = (name, setting) => details[name].filter((row) => row.setting === setting + 1);

for (const pre of document.querySelectorAll(".csv pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Save as CSV";
  button.onclick = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([pre.textContent], {type: "text/csv"}));
    link.download = pre.id.replace("csv-", "") + ".csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  pre.before(button);
}

/* ---- numbers --------------------------------------------------------------------------------- */

const round = (x, digits) => x === null || x === undefined ? "none" : String(+x.toPrecision(digits));
const thousands = (x) => String(x).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const units = (max, steps) => steps.reduce((best, s) => max >= s[0] ? s : best, steps[0]);
const bytesUnit = (max) => units(max, [[1, "B"], [1e3, "kB"], [1e6, "MB"], [1e9, "GB"], [1e12, "TB"]]);
const timeUnit = (max) => units(max, [[1e-6, "us"], [1e-3, "ms"], [1, "s"], [7200, "s"]]);
const plural = (n, word) => `${thousands(n)} ${word}${n === 1 ? "" : "s"}`;
const score = (x) => x === null ? "none" : meta.real ? x.toFixed(4) : (100 * x).toFixed(2) + " %";
const scoreName = meta.real ? "R²" : "Accuracy";

function quantile(values, q) {
  const sorted = values.filter((v) => v !== null).sort((a, b) => a - b);
  if (sorted.length === 0 || sorted.length < values.length) return null;
  const at = q * (sorted.length - 1), below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/* ---- colours --------------------------------------------------------------------------------- */

const dark = matchMedia("(prefers-color-scheme: dark)");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
/* Okabe and Ito's, for all kinds of colour vision; lighter on dark. */
const palettes = {
  light: ["#0072b2", "#d55e00", "#009e73", "#b5538c", "#b07c00", "#3a9bd9", "#6a51a3", "#6b4f2a"],
  dark: ["#6bb7f0", "#ff9248", "#3ecfa0", "#e59ac6", "#f0c04a", "#9bd7ff", "#b3a1e6", "#d0ae84"],
};
const single = meta.settings.length === 1;
const colour = (i) => single ? css("--accent") : palettes[dark.matches ? "dark" : "light"][i % 8];
const dash = (i) => [[], [8, 4], [2, 3], [10, 3, 2, 3]][Math.floor(i / 8) % 4];
function translucent(hex, alpha) {
  const n = parseInt(hex.slice(1), 16);
  return `rgba(${n >> 16}, ${n >> 8 & 255}, ${n & 255}, ${alpha})`;
}

/* Viridis (van der Walt and Smith 2015). */
const viridis = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779",
  "#6ece58", "#b5de2b", "#fde725"].map((c) => parseInt(c.slice(1), 16));
function ramp(x) {
  const at = Math.min(Math.max(x, 0), 1) * (viridis.length - 1), i = Math.min(Math.floor(at), 8);
  const mix = (shift) => Math.round((viridis[i] >> shift & 255) * (1 - at + i) +
                                    (viridis[i + 1] >> shift & 255) * (at - i));
  return `rgb(${mix(16)}, ${mix(8)}, ${mix(0)})`;
}
function scaleBar(plot, low, high) {
  const bar = document.createElement("div"), strip = document.createElement("i");
  bar.className = "scale";
  strip.style.background = `linear-gradient(90deg, ${[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    .map((i) => ramp(i / 9)).join(", ")})`;
  bar.append(low, strip, high);
  plot.append(bar);
}

/* ---- curves ---------------------------------------------------------------------------------- */

/* Of a setting: the median over seeds at each evaluation; bands from the lowest to the highest peer
   of one run, or from the first to the third quartile of several. */
function curve(setting, x, field) {
  const rows = evaluations.filter((r) => r.setting === setting + 1), bySeed = new Map();
  for (const r of rows) {
    if (!bySeed.has(r.seed)) bySeed.set(r.seed, []);
    bySeed.get(r.seed).push(r);
  }
  const runs = [...bySeed.values()], n = Math.min(...runs.map((r) => r.length));
  const out = [[], [], [], []];
  for (let i = 0; i < n; i++) {
    const at = runs.map((r) => r[i]), name = field === "consensus" ? field : field + "_mean";
    const values = at.map((r) => r[name]), several = runs.length > 1;
    out[0].push(quantile(at.map((r) => x(r, setting)), .5));
    out[1].push(quantile(values, .5));
    out[2].push(several ? quantile(values, .25) : field === "consensus" ? null : at[0][field + "_min"]);
    out[3].push(several ? quantile(values, .75) : field === "consensus" ? null : at[0][field + "_max"]);
  }
  /* Rows of the same x, as where nothing is sent: the last one counts. */
  const keep = out[0].map((v, i) => i === n - 1 || v < out[0][i + 1]);
  return out.map((column) => column.filter((_, i) => keep[i]));
}

const shown = meta.settings.map(() => true);
const plots = [];

function none(plot, text) {
  const p = document.createElement("p");
  p.className = "none";
  p.textContent = text;
  plot.replaceChildren(p);
}
function readout(plot, text) {
  const out = document.createElement("output");
  out.className = "readout";
  out.textContent = text;
  plot.append(out);
  return out;
}

function axis(label, extra) {
  return {label, labelSize: 20, labelGap: 0, size: 24, gap: 4, stroke: css("--soft"),
    font: "11px " + css("--sans"), labelFont: "12px " + css("--sans"),
    grid: {stroke: css("--grid"), width: 1}, ticks: {stroke: css("--line"), width: 1, size: 4},
    values: (u, splits) => splits.map((v) => v === null ? null : round(v, 6)), ...extra};
}

/* The least powers of ten around what is there, and their labels. */
const logScale = {distr: 3, range: (u, low, high) => low > 0 ? uPlot.rangeLog(low, high, 10, true) : [.1, 1]};
const logValues = (u, splits) => splits.map((v) => v !== null && Math.abs(Math.log10(v) % 1) < 1e-9
  ? v >= .01 && v < 1e4 ? String(+v.toPrecision(1)) : v.toExponential(0) : "");

function lines(id, {x, field, scale, log, xLabel, yLabel, format, xFormat}) {
  const plot = element(id);
  const which = meta.settings.map((_, i) => i).filter((i) => shown[i]);
  const parts = which.map((i) => {
    const [xs, ...ys] = curve(i, x, field);
    return [xs, ...ys.map((column) => column.map((v) => v === null || (log && v <= 0) ? null : v * scale))];
  });
  if (which.length === 0) return none(plot, "No setting is shown.");
  if (parts.every((p) => p[1].filter((v) => v !== null).length < 2))
    return none(plot, id.endsWith("bytes") ? "Nothing was sent." : "Fewer than two values to plot.");
  plot.replaceChildren();
  const data = parts.length === 1 ? parts[0] : uPlot.join(parts);
  const series = [{}], bands = [];
  which.forEach((setting, k) => {
    const line = colour(setting), invisible = {stroke: "transparent", width: 0, points: {show: false}, spanGaps: true};
    series.push({label: meta.settings[setting].label, stroke: line, width: 1.75, dash: dash(setting), spanGaps: true,
      points: {show: parts[k][0].length < 3, size: 5}}, invisible, invisible);
    bands.push({series: [3 * k + 3, 3 * k + 2], fill: translucent(line, dark.matches ? .22 : .16)});
  });
  const u = new uPlot({
    width: plot.clientWidth, height: single ? 210 : 230, padding: [8, 10, 0, 0], series, bands, legend: {show: false},
    scales: {x: {time: false}, y: log ? logScale : {range: (v, low, high) => {
      const room = (high - low || Math.abs(high) || 1) * .06;
      return [low - room, high + room];
    }}},
    axes: [axis(xLabel, {space: 52}), axis(yLabel, {size: 52, ...(log ? {values: logValues} : {})})],
    cursor: {y: false, points: {size: 6}, drag: {x: false, y: false}},
    hooks: {setCursor: [(v) => tell(v.cursor.idx)]},
  }, data, plot);
  const out = readout(plot, "");
  if (!single) out.classList.add("over");
  function tell(index) {
    const last = data[0].length - 1, away = index === null || index === undefined;
    if (!single && away) {
      if (out) out.textContent = "";
      return;
    }
    const at = away ? last : index;
    const texts = which.map((setting, k) => {
      let i = at;
      while (i > 0 && (data[3 * k + 1][i] === null || data[3 * k + 1][i] === undefined)) i--;
      const [mid, low, high] = [1, 2, 3].map((c) => data[3 * k + c][i]);
      const range = low === null || low === undefined ? "" : ` (${format(low)} to ${format(high)})`;
      return (single ? " " : "\n" + meta.settings[setting].label + ": ") + format(mid) + range;
    });
    if (out) out.textContent = `${xFormat(data[0][at])}:${texts.join("")}`;
  }
  tell(null);
  plots.push(u);
}

function bars(id, {xs, counts, width, xLabel, yLabel, noun, tell, ticks}) {
  const plot = element(id);
  plot.replaceChildren();
  const fill = translucent(css("--accent"), dark.matches ? .75 : .8);
  const u = new uPlot({
    width: plot.clientWidth, height: 230, padding: [8, 10, 0, 0], legend: {show: false},
    series: [{}, {stroke: fill, fill, width: 0, points: {show: false},
      paths: uPlot.paths.bars({size: [.92, 60], align: 0})}],
    scales: {x: {time: false, range: () => [xs[0] - width / 2, xs[xs.length - 1] + width / 2]},
      y: {range: (v, low, high) => [0, (high || 1) * 1.06]}},
    axes: [axis(xLabel, {space: 48, ...ticks}), axis(yLabel, {size: 56})],
    cursor: {y: false, points: {show: false}, drag: {x: false, y: false}},
    hooks: {setCursor: [(v) => { if (out) out.textContent = v.cursor.idx === null || v.cursor.idx === undefined ? rest : tell(v.cursor.idx); }]},
  }, [xs, counts], plot);
  const rest = plural(counts.reduce((a, b) => a + b, 0), noun);
  const out = readout(plot, rest);
  plots.push(u);
}

/* Bars of one width over what values [[x, weight], ...] hold. */
function histogram(values, wanted) {
  const low = Math.min(...values.map((v) => v[0])), high = Math.max(...values.map((v) => v[0]));
  if (low === high) return {xs: [low], counts: [values.reduce((a, v) => a + v[1], 0)], width: Math.abs(low) || 1};
  const raw = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(raw));
  const width = power * [1, 2, 5, 10].find((m) => m * power >= raw * .999);
  const first = Math.floor(low / width), n = Math.floor(high / width) - first + 1;
  const counts = Array(n).fill(0);
  for (const [x, weight] of values) counts[Math.floor(x / width) - first] += weight;
  return {xs: counts.map((_, i) => (first + i + .5) * width), counts, width};
}

/* ---- matrices -------------------------------------------------------------------------------- */

function matrix(id, {rows, columns, value, rowTitle, columnTitle, low, high, tell}) {
  const plot = element(id), max = Math.max(...value.flat());
  plot.replaceChildren();
  const canvas = document.createElement("canvas"), ratio = window.devicePixelRatio || 1;
  const context = canvas.getContext("2d"), font = "11px " + css("--sans");
  context.font = font;
  const label = (text) => text.length > 16 ? text.slice(0, 15) + "…" : text;
  const left = 26 + Math.min(110, Math.max(...rows.map((r) => context.measureText(label(r)).width)));
  const width = plot.clientWidth, across = (width - left - 2) / columns.length;
  const down = Math.min(Math.max(across, 230 / rows.length), 26, Math.max(5, 330 / rows.length));
  const top = 6, bottom = top + down * rows.length, height = Math.ceil(bottom) + 42;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = width + "px";
  canvas.style.height = height + "px";
  context.scale(ratio, ratio);
  const gap = across > 5 && down > 5 ? 1 : 0;
  rows.forEach((_, r) => columns.forEach((_c, c) => {
    const x0 = Math.round((left + c * across) * ratio) / ratio, x1 = Math.round((left + (c + 1) * across) * ratio) / ratio;
    const y0 = Math.round((top + r * down) * ratio) / ratio, y1 = Math.round((top + (r + 1) * down) * ratio) / ratio;
    context.fillStyle = value[r][c] > 0 ? ramp(value[r][c] / max) : css("--empty");
    context.fillRect(x0, y0, x1 - x0 - gap, y1 - y0 - gap);
  }));
  context.font = font;
  context.fillStyle = css("--soft");
  context.textBaseline = "middle";
  const every = (n, room) => { let step = 1; for (const s of [1, 2, 5, 10, 20, 50, 100]) { step = s; if (s * room >= n) break; } return step; };
  const rowStep = every(13, down);
  context.textAlign = "right";
  rows.forEach((text, r) => { if (r % rowStep === 0) context.fillText(label(text), left - 6, top + (r + .5) * down); });
  context.textAlign = "center";
  const columnStep = every(28, across);
  columns.forEach((text, c) => { if (c % columnStep === 0) context.fillText(label(text), left + (c + .5) * across, bottom + 11); });
  context.font = "12px " + css("--sans");
  context.fillText(columnTitle, left + (width - left) / 2, bottom + 31);
  context.save();
  context.translate(9, bottom / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(rowTitle, 0, 0);
  context.restore();
  plot.append(canvas);
  scaleBar(plot, low, high(max));
  const out = readout(plot, "");
  canvas.onpointermove = (event) => {
    const c = Math.floor((event.offsetX - left) / across), r = Math.floor((event.offsetY - top) / down);
    out.textContent = r >= 0 && r < rows.length && c >= 0 && c < columns.length ? tell(r, c) : "";
  };
  canvas.onpointerleave = () => { out.textContent = ""; };
}

/* ---- the topology ---------------------------------------------------------------------------- */

const circle = (n) => Array.from({length: n}, (_, i) =>
  [Math.sin(2 * Math.PI * i / n), -Math.cos(2 * Math.PI * i / n)]);

/* Fruchterman and Reingold 1991, from a circle. */
function forces(n, pairs) {
  const at = circle(n), k = 1.6 / Math.sqrt(n);
  for (let step = 0; step < 250; step++) {
    const push = at.map(() => [0, 0]), heat = .12 * (1 - step / 250);
    const add = (i, j, strength) => {
      const dx = at[i][0] - at[j][0], dy = at[i][1] - at[j][1], d = Math.hypot(dx, dy) || 1e-6;
      const f = strength(d) / d;
      push[i][0] += dx * f; push[i][1] += dy * f;
      push[j][0] -= dx * f; push[j][1] -= dy * f;
    };
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) add(i, j, (d) => k * k / d);
    for (const [i, j] of pairs) add(i, j, (d) => -d * d / k);
    for (let i = 0; i < n; i++) {
      const d = Math.hypot(...push[i]) || 1;
      at[i][0] += push[i][0] / d * Math.min(d, heat);
      at[i][1] += push[i][1] / d * Math.min(d, heat);
    }
  }
  const xs = at.map((p) => p[0]), ys = at.map((p) => p[1]);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const size = Math.max(right - left, bottom - top) / 2 || 1;
  return at.map((p) => [(p[0] - (left + right) / 2) / size, (p[1] - (top + bottom) / 2) / size]);
}

function layout(setting, peers, pairs) {
  const m = meta.settings[setting], kind = m.topology.split(":")[0], whole = peers.length === m.nodes;
  if (kind === "torus" && whole && m.columns > 0) {
    const rows = m.nodes / m.columns, most = Math.max(rows, m.columns) - 1 || 1;
    return peers.map((p) => [(2 * (p.peer % m.columns) - m.columns + 1) / most,
                             (2 * Math.floor(p.peer / m.columns) - rows + 1) / most]);
  }
  if (kind === "star" && whole) return [[0, 0], ...circle(peers.length - 1)];
  if (["ring", "path", "random", "complete", "exponential", "one-peer-exponential", "smallworld"].includes(kind) &&
      (whole || ["random", "complete"].includes(kind))) return circle(peers.length);
  return forces(peers.length, pairs);
}

function svg(name, attributes, parent) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
}

function drawTopology(setting) {
  const plot = element("topology"), peers = of("peers", setting), place = new Map(peers.map((p, i) => [p.peer, i]));
  const pairs = of("edges", setting).map((e) => [place.get(e.a), place.get(e.b)]);
  const at = layout(setting, peers, pairs);
  const values = peers.map((p) => p.accuracy).filter((v) => v !== null);
  const low = Math.min(...values), high = Math.max(...values);
  plot.replaceChildren();
  const radius = Math.max(3.2, Math.min(9, 60 / Math.sqrt(peers.length)));
  const root = svg("svg", {viewBox: "0 0 400 400", width: "100%", style: "max-height: 26rem"}, plot);
  const xy = at.map(([x, y]) => [200 + 188 * x, 200 + 188 * y]);
  const alpha = Math.max(.05, Math.min(.6, 90 / (pairs.length || 1)));
  const path = pairs.map(([a, b]) => `M${xy[a].map((v) => v.toFixed(1))}L${xy[b].map((v) => v.toFixed(1))}`).join("");
  svg("path", {class: "edge", d: path, fill: "none", "stroke-opacity": alpha, "stroke-width": 1}, root);
  const out = [];
  peers.forEach((p, i) => {
    const node = svg("circle", {class: "peer", cx: xy[i][0].toFixed(1), cy: xy[i][1].toFixed(1), r: radius,
      fill: p.accuracy === null ? css("--empty") : ramp(high > low ? (p.accuracy - low) / (high - low) : .6)}, root);
    const text = `peer ${p.peer}: ${scoreName.toLowerCase()} ${score(p.accuracy)}, loss ${round(p.loss, 4)}, ` +
      `${plural(p.steps, "step")}, ${plural(p.samples, "sample")}`;
    svg("title", {}, node).textContent = text;
    node.addEventListener("pointerenter", () => { out[0].textContent = text; });
  });
  scaleBar(plot, score(low), score(high));
  out.push(readout(plot, ""));
}

/* ---- what is shown --------------------------------------------------------------------------- */

const caption = (id, title, text) => {
  const b = document.createElement("b");
  b.textContent = title;
  element("c-" + id).replaceChildren(b, text);
};

function drawCurves() {
  const most = (field) => Math.max(...evaluations.map((r) => r[field]));
  const [second, timeName] = timeUnit(most("virtual_s")), [byte, byteName] = bytesUnit(most("bytes"));
  const axes = [
    ["steps", "local steps a peer", (r, s) => r.node_updates / meta.settings[s].nodes, (x) => `${round(x, 4)} steps`],
    ["time", `virtual time, ${timeName}`, (r) => r.virtual_s / second, (x) => `${round(x, 4)} ${timeName}`],
    ["bytes", `sent by all peers, ${byteName}`, (r) => r.bytes / byte, (x) => `${round(x, 4)} ${byteName}`],
  ];
  for (const [suffix, xLabel, x, xFormat] of axes) {
    lines("score-" + suffix, {x, field: "accuracy", scale: meta.real ? 1 : 100, xLabel, xFormat,
      yLabel: meta.real ? "R²" : "test accuracy, %", format: (v) => meta.real ? round(v, 4) : round(v, 4) + " %"});
    lines("loss-" + suffix, {x, field: "loss", scale: 1, xLabel, xFormat, yLabel: "test loss", format: (v) => round(v, 4)});
  }
  lines("consensus", {x: axes[0][2], field: "consensus", scale: 1, log: true, xLabel: axes[0][1], xFormat: axes[0][3],
    yLabel: "consensus distance", format: (v) => round(v, 3)});
}

function drawLinks(setting) {
  const peers = of("peers", setting), links = of("links", setting), m = meta.settings[setting];
  const whole = peers.length === m.nodes;
  const total = links.reduce((sum, l) => sum + l.bytes, 0);
  if (total === 0) {
    const sent = evaluations.some((r) => r.setting === setting + 1 && r.bytes > 0);
    for (const id of ["links", "link-bytes"])
      none(element(id), sent ? "What was sent went over no single links." : "Nothing was sent.");
    return;
  }
  const place = new Map(peers.map((p, i) => [p.peer, i])), value = peers.map(() => peers.map(() => 0));
  let inside = 0;
  for (const l of links) if (place.has(l.to)) { value[place.get(l.from)][place.get(l.to)] = l.bytes; inside++; }
  const [unit, name] = bytesUnit(Math.max(...links.map((l) => l.bytes)));
  const ids = peers.map((p) => String(p.peer));
  if (inside === 0) none(element("links"), "These peers sent nothing to one another.");
  else matrix("links", {rows: ids, columns: ids, value, rowTitle: "from peer", columnTitle: "to peer", low: "0",
    high: (max) => `${round(max / unit, 3)} ${name}`,
    tell: (r, c) => `from ${ids[r]} to ${ids[c]}: ${round(value[r][c] / unit, 4)} ${name}`});
  const h = histogram(links.map((l) => [l.bytes / unit, 1]), 24);
  bars("link-bytes", {...h, xLabel: `bytes over a link, ${name}`, yLabel: "links, one way", noun: "link",
    tell: (i) => `${round(h.xs[i] - h.width / 2, 4)} to ${round(h.xs[i] + h.width / 2, 4)} ${name}: ${plural(h.counts[i], "link")}`});
  const cut = m.bytes_unlisted > 0 ? ` ${round(m.bytes_unlisted / unit, 3)} ${name} went over links too many to list.` : "";
  caption("link-bytes", "Bytes per link", (whole ? "Every link that carried something, each way by itself."
    : "Links on which the peers shown sent something.") + cut);
}

function drawDetails(setting) {
  const m = meta.settings[setting], peers = of("peers", setting);
  const whole = peers.length === m.nodes, random = m.topology === "random";
  element("peers-lead").textContent = (whole ? `All ${plural(m.nodes, "peer")}`
    : `${peers.length} of ${plural(m.nodes, "peer")}, those nearest to peer 0 in the topology`) +
    (meta.seeds > 1 ? ", in the run of the first seed." : ".");
  caption("topology", "Topology", (random ? "Everyone may meet everyone, at random. " : "") +
    `Colour: ${scoreName.toLowerCase()} of the peer at the end, on the test data.`);
  drawTopology(setting);
  const classes = of("classes", setting), ids = peers.map((p) => String(p.peer));
  caption("classes", "Classes of each peer", "Training samples of each class in the shard of each peer.");
  if (classes.length === 0) none(element("classes"), "The target is a real number: there are no classes.");
  else {
    const value = m.classes.map(() => peers.map(() => 0)), place = new Map(peers.map((p, i) => [p.peer, i]));
    for (const c of classes) value[c.class][place.get(c.peer)] = c.samples;
    matrix("classes", {rows: m.classes, columns: ids, value, rowTitle: "class", columnTitle: "peer", low: "0",
      high: (max) => plural(max, "sample"),
      tell: (r, c) => `peer ${ids[c]}, class ${m.classes[r]}: ${plural(value[r][c], "sample")}`});
  }
  caption("links", "Bytes between peers", "Sent from the peer of a row to that of a column, in all.");
  caption("link-bytes", "Bytes per link", "");
  drawLinks(setting);
  const ages = of("staleness", setting);
  if (ages.length === 0) none(element("staleness"), "No slice was mixed by gossip into these peers.");
  else {
    const [unit, name] = timeUnit(Math.max(...ages.map((a) => a.age_us)) / 1e6);
    const h = histogram(ages.map((a) => [a.age_us / 1e6 / unit, a.slices]), 30);
    bars("staleness", {...h, xLabel: `age when mixed, ${name}`, yLabel: "slices", noun: "slice",
      tell: (i) => `${round(h.xs[i] - h.width / 2, 4)} to ${round(h.xs[i] + h.width / 2, 4)} ${name}: ${plural(h.counts[i], "slice")}`});
  }
}

let chosen = meta.settings.findIndex((m) => m.details);
function draw() {
  for (const plot of plots.splice(0)) plot.destroy();
  drawCurves();
  if (chosen >= 0) drawDetails(chosen);
  for (const [i, key] of [...document.querySelectorAll("#keys i")].entries()) key.style.background = colour(i);
}

const evaluated = meta.settings[0].evaluated, all = evaluated === meta.settings[0].nodes;
const peersText = all ? "all peers" : `${plural(evaluated, "peer")}, evenly spaced`;
element("training-lead").textContent = (meta.seeds > 1
  ? `Line: median over ${meta.seeds} seeds of the mean over ${peersText}. Band: from the first to the third quartile of the seeds.`
  : `Line: mean over ${peersText}. Band: from the lowest to the highest of them.`) + " On the test data.";
for (const [suffix, text] of [["steps", "over local steps"], ["time", "over virtual time"], ["bytes", "over bytes sent"]]) {
  caption("score-" + suffix, `${scoreName} ${text}`, "");
  caption("loss-" + suffix, `Loss ${text}`, "");
}
if (!single) {
  element("keys").hidden = false;
  meta.settings.forEach((m, i) => {
    const label = document.createElement("label"), box = document.createElement("input"), key = document.createElement("i");
    box.type = "checkbox";
    box.checked = true;
    box.onchange = () => { shown[i] = box.checked; draw(); };
    label.append(box, key, m.label);
    element("keys").append(label);
    if (m.details) element("setting").append(new Option(m.label, i));
  });
  element("choice").hidden = false;
  element("setting").onchange = (event) => { chosen = Number(event.target.value); draw(); };
}
draw();
dark.addEventListener("change", draw);
let width = document.body.clientWidth;
new ResizeObserver(() => {
  if (document.body.clientWidth === width) return;
  width = document.body.clientWidth;
  draw();
}).observe(document.body);
})();
