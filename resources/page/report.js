"use strict";
// Draws the page from the JSON block that the library wrote. No library, no request, nothing stored.
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const THIN = "\u202f";

  // --- elements ---------------------------------------------------------------------------------------------------------

  const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
  const svg = (name, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

  function fill(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== null && value !== false && value !== undefined) node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  }

  // --- numbers ----------------------------------------------------------------------------------------------------------

  // Truncated, not rounded, as everything that the project prints.
  const truncated = (value, digits = 2) => {
    const text = value.toFixed(8);
    const cut = digits ? text.slice(0, text.length - 8 + digits) : text.slice(0, -9);
    return Number(cut) === 0 ? cut.replace("-", "") : cut.replace("-", "−");
  };
  const grouped = (value) => String(value).replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
  const spread = ([, low, high]) => `[${truncated(low)}, ${truncated(high)}]`;
  // Of a point; a mean of exports has no interval.
  const scoreOf = ({ score, interval }) => truncated(score) + (interval ? ` ${spread([score, ...interval])}` : "");
  const measuredAs = (point) => `${point.engine}${point.milliseconds === null || point.tokens === null ? "" : `, ${point.tokens} tokens`}`;
  const compact = (value) => {
    for (const [size, prefix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
      if (value >= size) return `${Number((value / size).toPrecision(3))}${THIN}${prefix}`;
    return String(Number(value.toPrecision(3)));
  };
  const three = (value) => String(Number(value.toPrecision(3)));
  const duration = (seconds) => {
    const whole = Math.round(seconds), minutes = Math.round(seconds / 60);
    if (whole < 60) return `${seconds < 9.95 ? seconds.toFixed(1) : whole} s`;
    return whole < 3600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  };

  const COSTS = {
    milliseconds: { name: "time", unit: "ms", title: "milliseconds for one text", show: three },
    megabytes: { name: "size", unit: "MB", title: "megabytes of weights", show: three },
    macs: { name: "operations", unit: "million MACs", title: "million multiply-accumulate operations (MACs) of one text", scale: 1e6, show: three },
  };
  const inUnit = (axis, value) => value / (COSTS[axis].scale ?? 1);
  const withUnit = (axis, value) => `${COSTS[axis].show(inUnit(axis, value))} ${COSTS[axis].unit}`;
  const taskName = (task) => (task === null ? "mean of all tasks" : page.tasks[task].name);
  const regimeName = (regime) => (regime === "distillation" ? "distilled" : "fine-tuned");
  const fullName = (system) => `${system.name} (${regimeName(system.regime)})`;

  // --- shapes -----------------------------------------------------------------------------------------------------------

  function outline(shape, x, y, r) {
    const corners = {
      triangle: [[0, -1.25], [1.15, 0.85], [-1.15, 0.85]],
      wedge: [[0, 1.25], [1.15, -0.85], [-1.15, -0.85]],
      diamond: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
      square: [[-1, -1], [1, -1], [1, 1], [-1, 1]],
    }[shape];
    if (!corners) return `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0z`;
    return `M${corners.map(([dx, dy]) => `${(x + dx * r).toFixed(1)},${(y + dy * r).toFixed(1)}`).join("L")}z`;
  }
  const colour = (architecture) => `var(--${architecture})`;
  const mark = (system, x, y, r, open = false) =>
    svg("path", {
      d: outline(system.shape, x, y, r),
      fill: open ? "var(--ground)" : colour(system.architecture),
      stroke: open ? colour(system.architecture) : "var(--ground)",
      "stroke-width": open ? 1.8 : 1,
    });

  function sample(draw, text) {
    return el("span", {}, svg("svg", { width: 22, height: 14, "aria-hidden": "true" }, draw), text);
  }

  function legend(host, extra) {
    const kinds = [];
    for (const system of page.systems) {
      const key = `${system.architecture} ${system.shape}`;
      if (!kinds.some((kind) => kind.key === key)) kinds.push({ key, system });
    }
    host.replaceChildren(
      ...kinds.map(({ system }) =>
        sample(mark(system, 11, 7, 5), `${page.looks[system.architecture].name}, ${regimeName(system.regime)}`)),
      ...extra,
    );
  }
  const line = (kind) => svg("line", { x1: 0, x2: 22, y1: 7, y2: 7, class: kind });

  // --- axes -------------------------------------------------------------------------------------------------------------

  const width = (text) => 6.6 * text.length;

  function linearTicks(low, high, most) {
    const step = [1, 2, 2.5, 5, 10, 20, 25, 50].flatMap((n) => [n / 100, n / 10, n, n * 10, n * 100, n * 1e4, n * 1e6]).sort((a, b) => a - b)
      .find((size) => (high - low) / size <= most) ?? (high - low);
    const ticks = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n += 1) ticks.push(Number((n * step).toPrecision(12)));
    return ticks;
  }

  // The finest ticks at round numbers whose labels keep a distance.
  function logTicks(low, high, place, show) {
    let best = [];
    for (const factors of [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9]]) {
      const ticks = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1)
        for (const factor of factors) {
          const value = Number((factor * 10 ** power).toPrecision(6));
          if (value >= low && value <= high) ticks.push(value);
        }
      const apart = ticks.every((tick, n) => n === 0 ||
        place(tick) - place(ticks[n - 1]) >= (width(show(tick)) + width(show(ticks[n - 1]))) / 2 + 12);
      if (apart && ticks.length > best.length && ticks.length <= 9) best = ticks;
    }
    return best;
  }

  // --- tooltip ----------------------------------------------------------------------------------------------------------

  const tip = byId("tip");
  function showTip(node, text) {
    tip.textContent = text;
    tip.hidden = false;
    const box = node.getBoundingClientRect();
    const left = Math.min(Math.max(box.left + box.width / 2 - tip.offsetWidth / 2, 6), document.documentElement.clientWidth - tip.offsetWidth - 6);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${(above > 50 ? above : box.bottom + 8) + window.scrollY}px`;
  }
  const hideTip = () => { tip.hidden = true; };
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
  const hints = (node, text) => {
    for (const name of ["mouseenter", "focus"]) node.addEventListener(name, () => showTip(node, text));
    for (const name of ["mouseleave", "blur"]) node.addEventListener(name, hideTip);
  };

  // Marks of a plot: one stop of the Tab key, arrows go from mark to mark.
  function oneStop(marks) {
    marks.forEach((node, place) => {
      node.setAttribute("tabindex", place === 0 ? "0" : "-1");
      node.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        const to = event.key === "Home" ? 0 : event.key === "End" ? marks.length - 1 : by ? (place + by + marks.length) % marks.length : null;
        if (to !== null) {
          event.preventDefault();
          node.setAttribute("tabindex", "-1");
          marks[to].setAttribute("tabindex", "0");
          marks[to].focus();
        } else if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          node.dispatchEvent(new MouseEvent("click"));
        }
      });
    });
  }

  // --- tables -----------------------------------------------------------------------------------------------------------

  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : Array.isArray(value) ? `[${value.join(", ")}]` : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  function download(name, text) {
    const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  const MAGNITUDES = { K: 1e3, M: 1e6, G: 1e9, T: 1e12 };
  function sortKey(value, kind) {
    if (value === null || value === undefined) return null;
    if (kind === "interval") return value[0];
    if (kind === "printed") return parseFloat(value) * (MAGNITUDES[String(value).slice(-1)] ?? 1);
    return value;
  }
  function shown(value, column) {
    if (value === null || value === undefined) return "";
    if (column.kind === "interval") return `[${value.map((end) => end.toFixed(2).replace("-", "−")).join(", ")}]`;
    if (column.kind === "number") {
      const text = column.digits ? value.toFixed(column.digits) : Number.isInteger(value) ? grouped(value) : String(value);
      return text.replace("-", "−") + (column.unit === "x" ? "×" : column.unit ? ` ${column.unit}` : "");
    }
    return String(value);
  }

  // columns: {name, kind, digits, unit, value(row), node(row)?, narrow?}
  function table(host, name, caption, columns, rows, { filter = true, csv = null } = {}) {
    let order = null, wanted = "";
    const body = el("tbody");
    const count = el("output", { "aria-live": "polite" });
    const numeric = (column) => ["number", "interval", "printed"].includes(column.kind);
    const heads = columns.map((column, place) =>
      el("th", { scope: "col", "aria-sort": "none", class: [numeric(column) && "number", column.narrow && "narrow-hidden"].filter(Boolean).join(" ") || null },
        el("button", { type: "button", onclick: () => {
          order = { place, down: order?.place === place ? !order.down : numeric(column) };
          draw();
        } }, column.name)));
    const texts = rows.map((row) => columns.map((column) => shown(column.value(row), column)).join(" ").toLowerCase());

    function draw() {
      let kept = rows.map((row, place) => ({ row, place })).filter(({ place }) => wanted.split(/\s+/).every((word) => texts[place].includes(word)));
      if (order) {
        const column = columns[order.place];
        kept.sort((one, other) => {
          const [a, b] = [one, other].map(({ row }) => sortKey(column.value(row), column.kind));
          if (a === null || b === null) return a === b ? one.place - other.place : a === null ? 1 : -1; // empty cells last
          const found = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
          return (order.down ? -found : found) || one.place - other.place;
        });
      }
      heads.forEach((head, place) => head.setAttribute("aria-sort", order?.place === place ? (order.down ? "descending" : "ascending") : "none"));
      body.replaceChildren(...kept.map(({ row }) => el("tr", {}, columns.map((column) =>
        el("td", { class: [numeric(column) ? "number" : "", column.class ?? (column.name === "notes" ? "notes" : ""), column.narrow ? "narrow-hidden" : ""].filter(Boolean).join(" ") || null },
          column.node ? column.node(row) : shown(column.value(row), column))))));
      count.textContent = kept.length === rows.length ? `${rows.length} rows` : `${kept.length} of ${rows.length} rows`;
    }

    const file = csv ?? (() => [columns.map((column) => quoted(column.name)), ...rows.map((row) => columns.map((column) => quoted(column.value(row))))]
      .map((cells) => cells.join(",")).join("\n") + "\n");
    host.append(
      el("div", { class: "tools" },
        filter ? el("label", {}, "Filter ", el("input", { type: "search", "aria-label": `Filter ${name}`, oninput: (event) => { wanted = event.target.value.trim().toLowerCase(); draw(); } })) : null,
        el("button", { type: "button", "aria-label": `Download CSV: ${name}`, onclick: () => download(`${name}.csv`, file()) }, "Download CSV"),
        count),
      el("div", { class: "scroll", role: "region", "aria-label": `Table ${name}`, tabindex: "0" },
        el("table", {}, caption ? el("caption", {}, el("span", {}, caption)) : null, el("thead", {}, el("tr", {}, heads)), body)));
    draw();
  }

  const text = (name, value, more = {}) => ({ name, kind: "text", value, ...more });
  const number = (name, digits, value, more = {}) => ({ name, kind: "number", digits, unit: "", value, ...more });
  const interval = (name, value, more = {}) => ({ name, kind: "interval", value, ...more });
  const cut = (value, digits = 2) => (value === null ? null : Number(truncated(value, digits).replace("−", "-")));

  // --- where a number comes from ----------------------------------------------------------------------------------------

  const dialog = byId("origin");
  let command = "";
  // exported: the chosen point, where its score is that of an export; the lines and the command are about the score before.
  function explain(title, score, lines, file, system, column, exported) {
    command = whyCommand(file, system, column);
    byId("origin-title").textContent = `${title}: ${exported ? truncated(exported.score) : score}`;
    byId("origin-text").replaceChildren(
      ...(exported ? [`As exported (${measuredAs(exported)}): ${scoreOf(exported)}.`, `Before the export: ${score}.`] : []).map((entry) => el("p", {}, entry)),
      ...lines.map((entry) => el("p", {}, entry)),
      el("p", {}, `The whole chain, from ${exported ? "the number before the export" : "this number"} to the source files with their checksums and licences:`),
      el("pre", {}, el("code", {}, command)));
    byId("origin-copy").textContent = "Copy the command";
    dialog.showModal();
  }
  function whyCommand(file, system, column) {
    const path = `${page.study.results}/${file}`;
    return `ligero why ${path} "${fullName(system).replace(/["\\$`]/g, "\\$&")}" ${column}`;
  }
  byId("origin-copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      byId("origin-copy").textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(byId("origin-text").querySelector("code"));
      byId("origin-copy").textContent = "Selected: press Ctrl+C";
    }
  });

  function explainMean(entry, exported = null) {
    const system = page.systems[entry.system];
    const parts = page.scores.map((panel) => {
      const found = panel.systems[entry.system];
      return `${page.tasks[panel.task].name} ${truncated(found.score[0])} ${spread(found.score)}${found.learned ? "" : ", not learned"}: ${found.origin}.`;
    });
    const what = page.tasks.length > 1 ? `Mean of ${page.tasks.length} test scores, ${truncated(entry.score)} [${entry.interval.map((end) => truncated(end)).join(", ")}]:` : "One test score:";
    const advice = (entry.notes ?? "").split("; ").filter((note) => !note.startsWith("not learned")).join("; ");
    explain(fullName(system), entry.score.toFixed(2), [what, ...parts, ...(advice ? [`Note: ${advice}.`] : [])], "summary.csv", system, "score", exported);
  }

  function explainTask(panel, found, exported = null) {
    const system = page.systems[found.system], task = page.tasks[panel.task];
    explain(`${fullName(system)} on ${task.name}`, truncated(found.score[0]),
      [`${task.metric}, 95 % interval ${spread(found.score)}; ${found.origin}.`,
        `Without a model (${task.baseline_name}): ${truncated(task.baseline)}.${found.learned ? "" : " The interval reaches it: not learned."}`],
      task.file, system, task.column, exported);
  }

  // --- explorer ---------------------------------------------------------------------------------------------------------

  const controls = { task: byId("task"), axis: byId("axis"), engine: byId("engine"), budget: byId("budget"), number: byId("budget-number") };
  const state = { task: null, axis: "milliseconds", engine: 0, budget: null };

  const viewOf = () => page.views.find((view) => view.task === state.task && view.engine === state.engine);
  const costOf = () => viewOf().costs.find((cost) => cost.id === state.axis);
  const timed = () => viewOf().points.filter((point) => point[state.axis] !== null);

  function range() {
    const costs = timed().map((point) => point[state.axis]);
    const [low, high] = [Math.min(...costs), Math.max(...costs)];
    const room = Math.max((high / low) ** 0.09, 1.06);
    return [low / room, high * room];
  }

  // The answer to a budget is looked up: the library wrote all of them, by the rule of `ligero recommend`.
  function answerTo(budget) {
    const steps = costOf().steps.filter((step) => step.budget <= budget);
    return steps.length ? steps[steps.length - 1] : null;
  }

  function defaultBudget() {
    const [low, high] = range();
    if (state.axis === "milliseconds" && low < 5 && high > 5) return 5;
    const middle = Math.sqrt(low * high);
    return Number(middle.toPrecision(1)) >= low ? Number(middle.toPrecision(1)) : Number(middle.toPrecision(2));
  }

  function sayAnswer() {
    const found = answerTo(state.budget), points = viewOf().points;
    const limit = withUnit(state.axis, state.budget);
    const what = state.task === null && page.tasks.length > 1 ? "the mean of all tasks" : page.tasks[state.task ?? 0].name;
    const host = byId("answer");
    if (!found) {
      const cheapest = Math.min(...timed().map((point) => point[state.axis]));
      host.replaceChildren(el("strong", {}, `No system needs at most ${limit}.`), ` The cheapest needs ${withUnit(state.axis, cheapest)}.`);
      return;
    }
    const best = points[found.best], system = page.systems[best.system];
    const facts = Object.keys(COSTS).filter((axis) => best[axis] !== null).map((axis) => withUnit(axis, best[axis])).join(", ");
    const second = found.runner_up === null ? null : points[found.runner_up];
    host.replaceChildren(
      `For ${what} with at most ${limit}, take `, el("strong", {}, fullName(system)),
      `: ${scoreOf(best)}, ${facts}. `,
      best.learned ? "" : el("span", { class: "unlearned" }, "not learned"), best.learned ? "" : " It is no better than the baseline. ",
      second ? `Next: ${fullName(page.systems[second.system])}, ${truncated(second.score)}. ` : "",
      found.tied ? "Their intervals overlap: the test set does not tell which of them is better." : "");
  }

  const endsOf = ({ score, interval }) => interval ?? [score, score];

  function drawExplorer() {
    const host = byId("explorer");
    const W = Math.max(Math.floor(host.clientWidth), 280), narrow = W < 560, H = narrow ? 380 : 460;
    const left = 44, right = W - 14, top = 26, bottom = H - 44;
    const view = viewOf(), cost = costOf(), points = view.points;
    const shownPoints = points.map((point, place) => ({ ...point, place })).filter((point) => point[state.axis] !== null)
      .sort((a, b) => a[state.axis] - b[state.axis]);
    const [low, high] = range();
    const x = (value) => left + (Math.log(value / low) / Math.log(high / low)) * (right - left);
    const lows = shownPoints.map((point) => endsOf(point)[0]), highs = shownPoints.map((point) => endsOf(point)[1]);
    const base = state.task === null ? page.baseline : page.tasks[state.task].baseline;
    let [floor, ceiling] = [Math.min(...lows, base), Math.max(...highs, base)];
    const room = Math.max((ceiling - floor) * 0.07, 0.5);
    [floor, ceiling] = [Math.max(floor - room, 0), Math.min(ceiling + room, 102)];
    const y = (value) => bottom - ((value - floor) / (ceiling - floor)) * (bottom - top);
    const unit = (value) => COSTS[state.axis].show(inUnit(state.axis, value));
    const answer = answerTo(state.budget);
    const baseName = "baseline, without a model";

    const drawing = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "group", "aria-label": `Score against ${COSTS[state.axis].name}, ${taskName(state.task)}; arrow keys go from system to system` });
    for (const tick of linearTicks(floor, ceiling, 7))
      drawing.append(svg("line", { x1: left, x2: right, y1: y(tick), y2: y(tick), class: "grid" }), svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick)));
    for (const tick of logTicks(low, high, x, unit))
      drawing.append(svg("line", { x1: x(tick), x2: x(tick), y1: top, y2: bottom + 4, class: "grid" }), svg("text", { x: x(tick), y: bottom + 18, "text-anchor": "middle" }, unit(tick)));
    drawing.append(
      svg("line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "rule" }),
      svg("text", { x: 4, y: 13, class: "soft" }, `score in %, ${taskName(state.task)} (up is better)`),
      svg("text", { x: right, y: H - 6, "text-anchor": "end", class: "soft" }, `${narrow ? COSTS[state.axis].unit : COSTS[state.axis].title}, logarithmic (left is cheaper)`),
      svg("line", { x1: left, x2: right, y1: y(base), y2: y(base), class: "dots" }));

    // What costs more than the budget.
    const at = Math.min(Math.max(x(Math.max(state.budget, low)), left), right);
    drawing.append(svg("rect", { x: at, y: top, width: right - at, height: bottom - top, class: "beyond" }),
      svg("line", { x1: at, x2: at, y1: top, y2: bottom, class: "dash" }));

    // The front as stairs: the best score for each budget.
    const front = cost.efficient.map((place) => points[place]);
    if (front.length) {
      let path = `M${x(front[0][state.axis])},${y(front[0].score)}`;
      front.slice(1).forEach((point) => { path += `H${x(point[state.axis])}V${y(point.score)}`; });
      drawing.append(svg("path", { d: `${path}H${right}`, class: "front" }));
    }

    const marks = shownPoints.map((point) => {
      const system = page.systems[point.system], px = x(point[state.axis]), py = y(point.score), [from, to] = endsOf(point).map(y);
      const efficient = cost.efficient.includes(point.place), over = point[state.axis] > state.budget;
      const costs = Object.keys(COSTS).filter((axis) => point[axis] !== null).map((axis) => withUnit(axis, point[axis])).join(", ");
      const hint = `${fullName(system)}\n${scoreOf(point)}\n${costs}\n${measuredAs(point)}\n${efficient ? "on the Pareto front" : "beaten by another"}${over ? "\nover the limit" : ""}`;
      const group = svg("g", { class: `mark${over ? " pale" : ""}`, role: "button", "data-system": point.system, "aria-label": hint.replaceAll("\n", "; ") },
        svg("line", { x1: px, x2: px, y1: from, y2: to, stroke: colour(system.architecture), "stroke-width": 1.3, opacity: efficient ? 1 : 0.55 }),
        svg("circle", { cx: px, cy: py, r: 11, class: "halo" }),
        answer && answer.best === point.place ? svg("circle", { cx: px, cy: py, r: 9.5, class: "ring" }) : null,
        mark(system, px, py, efficient ? 6 : 4.6));
      hints(group, hint);
      group.addEventListener("click", () => explainPoint(point));
      return { group, px, py, high: to, low: from, system, efficient, place: point.place };
    });
    drawing.append(...marks.map((entry) => entry.group));
    const blocked = [];
    front.forEach((point, n) => {
      const [px, py] = [x(point[state.axis]), y(point.score)], next = front[n + 1];
      const until = next ? x(next[state.axis]) : right;
      blocked.push([px, py - 2, until, py + 2]);
      if (next) blocked.push([until - 2, y(next.score), until + 2, py]);
    });
    // The baseline's name where fewest marks are in its way: at the left or at the right end.
    const ends = [left + 4, right - width(baseName) - 4].map((from) => [from, y(base) - 17, from + width(baseName), y(base) + 2]);
    const crowd = ends.map((box) => marks.filter(({ px, py }) => px > box[0] - 8 && px < box[2] + 8 && py > box[1] - 8 && py < box[3] + 8).length);
    const place = ends[crowd[0] <= crowd[1] ? 0 : 1];
    blocked.push(place);
    drawing.append(svg("text", { x: place[0], y: y(base) - 5, class: "soft name" }, baseName));
    labels(drawing, marks, blocked, { left, right, top, bottom }, narrow ? answer : null, narrow);
    host.replaceChildren(drawing);
    oneStop(marks.map((entry) => entry.group));
    const engine = page.engines[state.engine];
    byId("explorer-caption").textContent = `Time on ${engine.name}: ${engine.conditions}. Vertical lines are 95 % intervals${points.some((point) => !point.interval) ? " (none for means over exports, whose answers were not stored)" : ""}. Choose a mark to see where its score comes from.`;
  }

  function explainPoint(point) {
    const exported = point.exported ? point : null;
    if (state.task === null) explainMean(page.summary[point.system], exported);
    else explainTask(page.scores[state.task], page.scores[state.task].systems[point.system], exported);
  }

  // Names beside marks where there is room: the front's first, then the others; the rest are in the hints and in the table.
  function labels(drawing, marks, others, frame, answer, narrow) {
    const blocked = [...others, ...marks.map(({ px, py }) => [px - 7, py - 7, px + 7, py + 7])];
    const bars = marks.map(({ px, high, low }) => [px - 1, high, px + 1, low]);
    const overlap = (box, all) => all.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3]);
    const inside = (box) => box[0] >= frame.left - 2 && box[2] <= frame.right + 8 && box[1] >= frame.top - 10 && box[3] <= frame.bottom;
    const ordered = [...marks].sort((a, b) => (b.efficient || answer?.best === b.place) - (a.efficient || answer?.best === a.place));
    for (const { px, py, system, efficient, place } of ordered) {
      if (narrow && !efficient && answer?.best !== place) continue;
      const w = width(system.label), h = 13;
      let found = null;
      // Best a place that covers nothing; else one that covers intervals only.
      search: for (const all of [[...blocked, ...bars], blocked])
        for (const far of [11, 20, 32, 46]) for (let turn = 0; turn < 12; turn += 1) {
          const angle = (turn * Math.PI) / 6;
          const cx = px + Math.cos(angle) * (far + w / 2), cy = py + Math.sin(angle) * (far + h / 2 - 3);
          const box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2];
          if (inside(box) && !overlap(box, all)) { found = { box, cx, cy, far }; break search; }
        }
      if (!found) continue;
      blocked.push(found.box);
      if (found.far > 11) {
        const edge = Math.min(Math.max(px, found.box[0]), found.box[2]);
        drawing.insertBefore(svg("line", { x1: px, y1: py, x2: edge, y2: found.cy, class: "rule" }), drawing.querySelector(".mark"));
      }
      drawing.append(svg("text", { x: found.cx, y: found.cy + 4, "text-anchor": "middle", class: "name", "aria-hidden": "true", "font-weight": efficient ? 650 : 400, style: "pointer-events: none" }, system.label));
    }
  }

  function explorerTable() {
    const host = byId("explorer-table"), cost = costOf(), points = viewOf().points;
    host.replaceChildren();
    table(host, "trade-off", `${taskName(state.task)}, ${page.engines[state.engine].name}`, [
      text("model", (n) => page.systems[points[n].system].name),
      text("regime", (n) => page.systems[points[n].system].regime),
      number("score, %", 2, (n) => cut(points[n].score)),
      interval("95 % interval", (n) => points[n].interval?.map((end) => cut(end)) ?? null),
      number("milliseconds", 3, (n) => cut(points[n].milliseconds, 3)),
      number("tokens", 0, (n) => points[n].tokens),
      number("megabytes", 3, (n) => cut(points[n].megabytes, 3)),
      number("MACs", 0, (n) => points[n].macs),
      text("Pareto front", (n) => (cost.efficient.includes(n) ? "yes" : "no")),
      text("measured as", (n) => points[n].engine),
    ], points.map((_, n) => n));
  }

  const POSITIONS = 1000;
  function slide() {
    const [low, high] = range();
    controls.budget.value = Math.round((Math.log(state.budget / low) / Math.log(high / low)) * POSITIONS);
    controls.budget.setAttribute("aria-valuetext", withUnit(state.axis, state.budget));
    if (document.activeElement !== controls.number) controls.number.value = Number(inUnit(state.axis, state.budget).toPrecision(4));
    byId("unit").textContent = COSTS[state.axis].unit;
  }

  function options() {
    const engines = page.engines.map((engine, place) => ({ engine, place })).filter(({ place }) => page.views.some((view) => view.engine === place && view.task === state.task));
    controls.engine.replaceChildren(...engines.map(({ engine, place }) => el("option", { value: place }, engine.name)));
    if (!engines.some(({ place }) => place === state.engine)) state.engine = engines[0].place;
    controls.engine.value = state.engine;
    byId("engine-field").hidden = page.engines.length < 2;
    const axes = Object.keys(COSTS).filter((axis) => viewOf().points.some((point) => point[axis] !== null));
    controls.axis.replaceChildren(...axes.map((axis) => el("option", { value: axis }, `${COSTS[axis].name} (${COSTS[axis].unit})`)));
    if (!axes.includes(state.axis)) state.axis = axes[0];
    controls.axis.value = state.axis;
  }

  function explore({ keepBudget = false, tableToo = true } = {}) {
    options();
    if (!keepBudget || state.budget === null) state.budget = defaultBudget();
    slide();
    sayAnswer();
    drawExplorer();
    if (tableToo) explorerTable();
  }

  function startExplorer() {
    const several = page.tasks.length > 1;
    state.task = several ? null : 0;
    controls.task.replaceChildren(
      ...(several ? [el("option", { value: "all" }, "Mean of all tasks")] : []),
      ...page.tasks.map((task, place) => el("option", { value: place }, task.name)));
    controls.task.addEventListener("change", () => { state.task = controls.task.value === "all" ? null : Number(controls.task.value); explore({ keepBudget: true }); });
    controls.axis.addEventListener("change", () => { state.axis = controls.axis.value; explore(); });
    controls.engine.addEventListener("change", () => { state.engine = Number(controls.engine.value); explore(); });
    controls.budget.addEventListener("input", () => {
      const [low, high] = range();
      state.budget = Number((low * (high / low) ** (controls.budget.value / POSITIONS)).toPrecision(4));
      explore({ keepBudget: true, tableToo: false });
    });
    controls.number.addEventListener("input", () => {
      const given = Number(controls.number.value) * (COSTS[state.axis].scale ?? 1);
      if (given > 0) { state.budget = given; explore({ keepBudget: true, tableToo: false }); }
    });
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
    legend(byId("explorer-legend"), [
      sample(line("front"), "Pareto front: the best score for each limit"),
      sample(svg("circle", { cx: 11, cy: 7, r: 6, class: "ring" }), "the answer"),
      sample(line("dash"), "your limit; beyond it grey"),
      sample(line("dots"), "baseline"),
    ]);
    explore();
  }

  // --- summary ----------------------------------------------------------------------------------------------------------

  function drawSummary() {
    const rows = page.summary, several = page.tasks.length > 1;
    const system = (row) => page.systems[row.system];
    byId("summary-note").textContent = `${several ? `Score: the mean over ${page.tasks.length} tasks, in percent` : `Score: ${page.tasks[0].metric}, in percent`}. Without a model: ${truncated(page.baseline)}. Speedup: how many times fewer operations than ${page.study.reference}. Choose a score to see where it comes from.`;
    table(byId("summary-table"), "summary", null, [
      text("model", (row) => system(row).name, { class: "name", node: (row) => [sampleMark(system(row)), ` ${system(row).label}`] }),
      text("regime", (row) => system(row).regime, { class: "name", narrow: true }),
      number("score, %", 2, (row) => row.score, { class: "score", node: (row) => row.score === null ? el("span", { class: "none" }, "not run") :
        [el("button", { type: "button", class: "why", "aria-label": `${row.score.toFixed(2)}, where from?`, onclick: () => explainMean(row) }, row.score.toFixed(2)),
          row.learned ? "" : " ", row.learned ? "" : el("span", { class: "unlearned" }, "not learned")] }),
      interval("95 % interval", (row) => row.interval),
      number("speedup", 2, (row) => row.speedup, { unit: "x" }),
      number("ms per text", 3, (row) => cut(row.milliseconds, 3)),
      number("MB", 3, (row) => cut(row.megabytes, 3), { narrow: true }),
      number("parameters", 0, (row) => row.parameters, { narrow: true, node: (row) => brief(row.parameters) }),
      number("MACs", 0, (row) => row.macs, { narrow: true, node: (row) => brief(row.macs) }),
      text("notes", (row) => row.notes, { class: "notes", narrow: true, node: (row) => shortNotes(row) }),
    ], rows);
  }
  const brief = (count) => (count === null ? "" : compact(count));
  const sampleMark = (system) => svg("svg", { width: 14, height: 12, "aria-hidden": "true" }, mark(system, 7, 6, 4.6));
  // What to do about it is in the dialog.
  const shortNotes = (row) => [
    ...(row.notes ?? "").split("; ").filter((note) => !note.startsWith("not learned")).map((note) => (note.length > 70 ? note.split(":")[0] : note)),
    row.not_learned.length ? `not learned: ${row.not_learned.map((task) => page.tasks[task].name).join(", ")}` : "",
  ].filter(Boolean).join("; ");

  // --- scores by task ---------------------------------------------------------------------------------------------------

  function drawTasks() {
    const host = byId("tasks-plots"), W = 320, rowHeight = 17, left = 142, right = W - 10, top = 42;
    legend(byId("tasks-legend"), [
      sample(svg("rect", { x: 2, y: 1, width: 18, height: 12, class: "below" }), "no better than the baseline"),
      ...(page.scores.some((panel) => panel.systems.some((found) => found.published !== null)) ? [sample(mark(page.systems[0], 11, 7, 4.6, true), "published")] : []),
    ]);
    host.replaceChildren(...page.scores.map((panel) => {
      const task = page.tasks[panel.task], H = top + rowHeight * panel.systems.length + 26, bottom = H - 22;
      const values = panel.systems.flatMap((found) => [...(found.score ?? []), ...(found.published === null ? [] : [found.published])]);
      let [low, high] = [Math.min(...values, task.baseline), Math.max(...values, task.baseline)];
      const room = Math.max((high - low) * 0.05, 0.5);
      [low, high] = [Math.max(low - room, 0), Math.min(high + room, 101)];
      const x = (value) => left + ((value - low) / (high - low)) * (right - left);
      const drawing = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "group", "aria-label": `${task.name}: score of every system; arrow keys go from system to system` });
      drawing.append(
        svg("text", { x: 0, y: 14, class: "title" }, task.name),
        svg("text", { x: 0, y: 30, class: "soft" }, `${task.metric}, %, ${grouped(task.examples)} test examples`),
        svg("rect", { x: left, y: top, width: Math.max(x(task.baseline) - left, 0), height: bottom - top, class: "below" }),
        svg("line", { x1: x(task.baseline), x2: x(task.baseline), y1: top, y2: bottom, class: "dots" }));
      for (const tick of linearTicks(low, high, 5))
        drawing.append(svg("line", { x1: x(tick), x2: x(tick), y1: top, y2: bottom, class: "grid" }), svg("text", { x: x(tick), y: bottom + 15, "text-anchor": "middle" }, String(tick)));
      const marks = [];
      panel.systems.forEach((found, place) => {
        const system = page.systems[found.system], cy = top + rowHeight * (place + 0.5);
        const name = system.label.length > 22 ? system.label.replace("(distilled)", "(dist.)") : system.label;
        drawing.append(svg("text", { x: left - 6, y: cy + 4, "text-anchor": "end", class: found.score ? null : "soft" }, name));
        if (!found.score) {
          drawing.append(svg("text", { x: left + 4, y: cy + 4, class: "soft" }, "not run"));
          return;
        }
        const hint = `${fullName(system)}\n${truncated(found.score[0])} ${spread(found.score)}${found.learned ? "" : "\nnot learned"}${found.published === null ? "" : `\npublished: ${found.published}`}`;
        const group = svg("g", { class: `mark${found.learned ? "" : " pale"}`, role: "button", "aria-label": `${task.name}, ${hint.replaceAll("\n", "; ")}` },
          svg("rect", { x: left, y: cy - rowHeight / 2, width: right - left, height: rowHeight, class: "halo" }),
          svg("line", { x1: x(found.score[1]), x2: x(found.score[2]), y1: cy, y2: cy, stroke: colour(system.architecture), "stroke-width": 2 }),
          found.published === null ? null : mark(system, x(found.published), cy, 4.6, true),
          mark(system, x(found.score[0]), cy, 4.4));
        hints(group, hint);
        group.addEventListener("click", () => explainTask(panel, found));
        marks.push(group);
      });
      drawing.append(...marks);
      oneStop(marks);
      return el("figure", {}, drawing);
    }));
    table(byId("tasks-table"), "scores by task", "Percent; choose a score to see where it comes from.", [
      text("model", (system) => page.systems[system].name),
      text("regime", (system) => page.systems[system].regime),
      ...page.scores.flatMap((panel) => [
        number(page.tasks[panel.task].name, 2, (system) => cut(panel.systems[system].score?.[0] ?? null), { node: (system) => {
          const found = panel.systems[system];
          return found.score ? el("button", { type: "button", class: "why", onclick: () => explainTask(panel, found) }, truncated(found.score[0])) : el("span", { class: "none" }, "not run");
        } }),
        interval("95 % interval", (system) => panel.systems[system].score?.slice(1).map((end) => cut(end)) ?? null),
      ]),
    ], page.systems.map((_, place) => place));
  }

  // --- pretraining ------------------------------------------------------------------------------------------------------

  function drawCurves() {
    const host = byId("curves-plots"), W = 320, H = 200, left = 38, right = W - 12, top = 28, bottom = H - 34;
    byId("curves-legend").replaceChildren(
      sample(svg("line", { x1: 0, x2: 22, y1: 7, y2: 7, stroke: "var(--ink)", "stroke-width": 1.6 }), "training"),
      sample(svg("g", {}, line("dash"), svg("circle", { cx: 11, cy: 7, r: 3.5, fill: "var(--ink)" })), "held-out text"),
      sample(line("dots"), "plateau"),
      ...(page.curves.some((curve) => curve.restarts.length) ? [sample(svg("line", { x1: 11, x2: 11, y1: 0, y2: 14, class: "front" }), "training went back to here after it diverged")] : []));
    const steps = Math.max(...page.curves.flatMap((curve) => curve.training.map(([step]) => step)));
    host.replaceChildren(...page.curves.map((curve) => {
      const all = [...curve.training, ...curve.validation, ...curve.lost.flat()].map(([, loss]) => loss);
      const last = Math.max(...curve.training.map(([step]) => step)), extent = last > steps / 3 ? steps : last;
      let [low, high] = [Math.min(...all, curve.plateau ?? Infinity), Math.max(...all, curve.plateau ?? -Infinity)];
      const room = (high - low) * 0.06 || 0.1;
      [low, high] = [low - 2.5 * room, high + room];
      const x = (step) => left + (step / extent) * (right - left), y = (loss) => bottom - ((loss - low) / (high - low)) * (bottom - top);
      const path = (points) => points.map(([step, loss], n) => `${n ? "L" : "M"}${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join("");
      const ink = colour(curve.architecture);
      // Where the curves are not: at the right above the line if they end far below it, else at the left below it.
      const plateauName = () => {
        const far = y(curve.training.at(-1)[1]) - y(curve.plateau) > 24;
        return svg("text", { x: far ? right : left + 3, y: y(curve.plateau) + (far ? -4 : 14), "text-anchor": far ? "end" : "start", class: "soft name" }, `plateau ${curve.plateau.toFixed(2)}`);
      };
      const end = curve.validation.at(-1);
      const drawing = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${curve.model}: training loss from ${curve.training[0][1].toFixed(2)} to ${curve.training.at(-1)[1].toFixed(2)}${end ? `, on held-out text ${end[1].toFixed(2)}` : ""}${curve.plateau === null ? "" : `; plateau ${curve.plateau.toFixed(2)}`}; ${curve.restarts.length} rollbacks` });
      drawing.append(svg("text", { x: 0, y: 14, class: "title" }, curve.model));
      for (const tick of linearTicks(low, high, 4))
        drawing.append(svg("line", { x1: left, x2: right, y1: y(tick), y2: y(tick), class: "grid" }), svg("text", { x: left - 5, y: y(tick) + 4, "text-anchor": "end" }, String(tick)));
      for (const tick of linearTicks(0, extent, 4))
        drawing.append(svg("text", { x: x(tick), y: bottom + 14, "text-anchor": "middle" }, compact(tick)));
      drawing.append(svg("text", { x: right, y: H - 4, "text-anchor": "end", class: "soft" }, "step"), svg("text", { x: right, y: 14, "text-anchor": "end", class: "soft" }, "loss in nats"));
      if (curve.plateau !== null) drawing.append(svg("line", { x1: left, x2: right, y1: y(curve.plateau), y2: y(curve.plateau), class: "dots" }), plateauName());
      for (const [, back] of curve.restarts) drawing.append(svg("line", { x1: x(back), x2: x(back), y1: top, y2: bottom, class: "front" }));
      for (const lost of curve.lost) drawing.append(svg("path", { d: path(lost), fill: "none", stroke: ink, "stroke-dasharray": "2 3", opacity: 0.7 }));
      drawing.append(
        svg("path", { d: path(curve.training), fill: "none", stroke: ink, "stroke-width": 1.6 }),
        svg("path", { d: path(curve.validation), fill: "none", stroke: ink, "stroke-width": 1.2, "stroke-dasharray": "5 4" }),
        ...curve.validation.filter((_, n, list) => n % Math.ceil(list.length / 12) === 0 || n === list.length - 1).map(([step, loss]) => svg("circle", { cx: x(step), cy: y(loss), r: 3.5, fill: ink })));
      if (end) drawing.append(svg("text", { x: Math.min(x(end[0]), right) - 2, y: y(end[1]) + 17, "text-anchor": "end", class: "name" }, end[1].toFixed(2)));
      return el("figure", {}, drawing);
    }));
    const rows = page.curves.flatMap((curve) => [
      ...curve.training.map(([step, loss]) => ({ model: curve.model, what: "training", step, loss })),
      ...curve.lost.flat().map(([step, loss]) => ({ model: curve.model, what: "thrown away", step, loss })),
      ...curve.validation.map(([step, loss]) => ({ model: curve.model, what: "held-out text", step, loss })),
      ...(curve.plateau === null ? [] : [{ model: curve.model, what: "plateau", step: null, loss: curve.plateau }]),
    ]);
    table(byId("curves-table"), "pretraining curves", null, [
      text("model", (row) => row.model), text("loss of", (row) => row.what), number("step", 0, (row) => row.step), number("nats", 4, (row) => row.loss),
    ], rows);
  }

  // --- published --------------------------------------------------------------------------------------------------------

  function drawPublished() {
    const rows = page.published;
    const difference = (one, other) => (one === null || page.comparable ? null : Number((one - other).toFixed(2)));
    table(byId("published-table"), "published and measured", null, [
      text("model", (row) => row.model), text("regime", (row) => row.regime),
      number("published score, %", 2, (row) => row.score), number("measured score, %", 2, (row) => row.measured_score),
      ...(page.comparable ? [] : [number("difference", 2, (row) => difference(row.measured_score, row.score))]),
      number("published speedup", 2, (row) => row.speedup, { unit: "x" }), number("measured speedup", 2, (row) => row.measured_speedup, { unit: "x" }),
    ], rows);
    const host = byId("published-plot");
    if (page.comparable) { host.remove(); return; }
    const W = Math.max(Math.floor(host.clientWidth), 280), left = 170, right = W - 12, top = 24, rowHeight = 18, H = top + rowHeight * rows.length + 26, bottom = H - 24;
    const values = rows.flatMap((row) => [row.score, row.measured_score]).filter((value) => value !== null);
    const [low, high] = [Math.min(...values) - 1, Math.max(...values) + 1];
    const x = (value) => left + ((value - low) / (high - low)) * (right - left);
    const drawing = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "Published (open) and measured (filled) mean scores; the table below has the figures" }, svg("text", { x: 0, y: 13, class: "soft" }, "mean score, %: open published, filled measured"));
    for (const tick of linearTicks(low, high, 6)) drawing.append(svg("line", { x1: x(tick), x2: x(tick), y1: top, y2: bottom, class: "grid" }), svg("text", { x: x(tick), y: bottom + 15, "text-anchor": "middle" }, String(tick)));
    rows.forEach((row, place) => {
      const cy = top + rowHeight * (place + 0.5);
      const system = page.systems.find((other) => other.name === row.model && other.regime === row.regime);
      const looks = system ?? { shape: "circle", architecture: Object.keys(page.looks)[0] };
      drawing.append(svg("text", { x: left - 8, y: cy + 4, "text-anchor": "end" }, system?.label ?? row.model));
      if (row.measured_score !== null) drawing.append(svg("line", { x1: x(row.score), x2: x(row.measured_score), y1: cy, y2: cy, class: "front" }), mark(looks, x(row.measured_score), cy, 4.6));
      drawing.append(mark(looks, x(row.score), cy, 4.6, true));
    });
    host.replaceChildren(drawing);
  }

  // --- stages, cost, all tables -----------------------------------------------------------------------------------------

  function drawStages() {
    const longest = Math.max(...page.stages.map((stage) => stage.seconds ?? 0), 1);
    byId("stages").replaceChildren(...page.stages.map((stage) => el("li", {},
      el("span", { class: "stage" }, stage.name),
      stage.seconds === null ? el("span", { class: "bar" }, el("span", { class: "figure" }, "not timed")) :
        el("span", { class: "bar" }, fill(el("i"), { style: `width: ${Math.max((stage.seconds / longest) * 55, 0.3)}%` }, []), el("span", {}, `${duration(stage.seconds)} in ${stage.jobs} job${stage.jobs > 1 ? "s" : ""}`)),
      el("span", { class: "what" }, stage.does))));
    table(byId("stages-table"), "stages", null, [
      text("stage", (row) => row.name), number("jobs", 0, (row) => row.jobs), number("seconds", 2, (row) => row.seconds),
      number("longest job, s", 2, (row) => row.longest), number("peak memory, MB", 0, (row) => row.peak_megabytes === null ? null : Math.round(row.peak_megabytes)),
    ], page.stages, { filter: false });
  }

  const columnsOf = (found) => found.columns.map((column, place) => ({
    ...column, name: column.name.replaceAll("_", " "), value: (row) => row[place], node: null,
  }));
  const csvOf = (found) => () => [
    found.columns.map((column) => quoted(column.name)),
    ...found.rows.map((row) => row.map((cell, place) => {
      const column = found.columns[place];
      if (cell === null) return "";
      if (column.kind === "number") return (column.digits ? cell.toFixed(column.digits) : String(cell)) + column.unit;
      return quoted(column.kind === "interval" ? `[${cell.map((end) => end.toFixed(2)).join(", ")}]` : cell);
    })),
  ].map((cells) => cells.join(",")).join("\n") + "\n";

  function drawTables() {
    const cost = page.tables.find((found) => found.name === "cost");
    if (cost) table(byId("cost-table"), "cost", cost.caption, columnsOf(cost), cost.rows, { filter: false, csv: csvOf(cost) });
    byId("all-tables").replaceChildren(...page.tables.filter((found) => found.name !== "cost").map((found) => {
      const place = el("div");
      const details = el("details", { id: `table-${found.name}` }, el("summary", {}, found.name.replaceAll("_", " "), ` (${found.rows.length} rows)`), place);
      details.addEventListener("toggle", () => {
        if (details.open && !place.childElementCount) table(place, found.name, found.caption, columnsOf(found), found.rows, { csv: csvOf(found) });
      });
      return details;
    }));
    // A link to a table opens it.
    const openLinked = () => { const found = location.hash && document.getElementById(location.hash.slice(1)); if (found?.tagName === "DETAILS") found.open = true; };
    addEventListener("hashchange", openLinked);
    openLinked();
  }

  startExplorer();
  drawSummary();
  drawTasks();
  if (page.curves.length) drawCurves();
  if (page.published.length) drawPublished();
  drawStages();
  drawTables();
  let waiting = null;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawExplorer, 80); });
})();
