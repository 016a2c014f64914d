// The page's life: a stream of pictures comes in, texts and charts follow. docs/API.md describes what is read here.
//
// Every picture says everything about its moment, so one that was missed leaves no trace in the texts; the charts
// notice the gap in the points' numbers and fetch the series anew.
"use strict";

const API = "api/v1/";
const $ = (id) => document.getElementById(id);

// -- words and numbers ----------------------------------------------------------------------------------------------

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const { as, known, told, UNKNOWN } = zsmsFormat;
const timeOf = (seconds) => clock.format(new Date(1000 * seconds));

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// -- state ----------------------------------------------------------------------------------------------------------

let picture = null; // the newest
let span = "300"; // seconds of the recent series, or "whole"
let recent = null; // {number, every_s, columns}
let whole = null;
let wholeFetchedAt = 0;
let lostAt = null; // since when there is no stream, by this clock, in ms

async function getSeries(which) {
  const answer = await fetch(`${API}series?span=${which}`);
  if (!answer.ok) throw new Error(`series: ${answer.status}`);
  return answer.json();
}

let fetching = false;
async function fetchSeries(force) {
  if (fetching) return;
  fetching = true;
  try {
    if (force || recent === null) recent = await getSeries("recent");
    whole = await getSeries("whole");
    wholeFetchedAt = Date.now();
    drawCharts();
  } catch {
    // The stream tells whether the dashboard is there; the next picture asks again.
  } finally {
    fetching = false;
  }
}

function takePoint(point) {
  if (point === null) return;
  if (recent === null || point.number < recent.number || point.number > recent.number + 1) {
    fetchSeries(true);
  } else if (point.number === recent.number + 1) {
    recent.number = point.number;
    for (const [name, column] of Object.entries(recent.columns)) column.push(point[name]);
    const tooOld = recent.columns.t_s.length - Math.ceil(1800 / recent.every_s);
    if (tooOld > 60) for (const column of Object.values(recent.columns)) column.splice(0, tooOld);
  }
  // The more there is of it, the less a second adds.
  const pause = whole === null ? 1000 : Math.min(Math.max(1000, 20 * whole.columns.t_s.length, 1000 * whole.every_s), 60000);
  if (Date.now() - wholeFetchedAt >= pause && !document.hidden) fetchSeries(false);
}

// -- the stream -----------------------------------------------------------------------------------------------------

let source = null;
let over = false;

function connect() {
  source = new EventSource(`${API}stream`);
  source.addEventListener("open", () => {
    lostAt = recent = whole = null; // it may be another dashboard, with another history
  });
  source.addEventListener("now", (event) => {
    lostAt = null;
    picture = JSON.parse(event.data);
    over = picture.ended;
    takePoint(picture.point);
    showPicture();
  });
  source.addEventListener("error", () => {
    if (over) return source.close(); // the run's dashboard is gone, and there is nothing more to hear
    lostAt = lostAt ?? Date.now();
    showStatus();
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000); // refused: the browser itself gives up
  });
}

function showStatus() {
  const [state, text] = statusNow();
  $("status").dataset.state = state;
  put($("status-text"), text);
  document.title = state === "live" && picture.figures ? `${told(picture.figures.rate_per_s, "rate")}/s · zsms` : "zsms";
}

function statusNow() {
  if (over) return ["over", `The run ended at ${timeOf(picture.at)}`];
  if (lostAt !== null) {
    const since = picture === null ? "" : ` since ${timeOf(picture.at)}`;
    return ["lost", `No connection to the dashboard${since}; trying again`];
  }
  if (picture === null) return ["waiting", "Connecting"];
  const { answering, heard_at } = picture.collector;
  if (answering && picture.figures.stale && !picture.figures.done) return ["silent", `Stale: ${picture.figures.stale}`];
  if (answering) return ["live", picture.figures.done ? "All messages are settled" : "Live"];
  if (heard_at === null) return ["waiting", "Waiting for the collector"];
  return ["silent", `No word from the collector since ${timeOf(heard_at)} (${as.duration(picture.at - heard_at)})`];
}

// -- texts ----------------------------------------------------------------------------------------------------------

function showPicture() {
  showStatus();
  put($("version"), picture.version);
  put($("endpoint"), `collector ${picture.collector.endpoint || "not yet known"}`);
  showEvents();
  if (picture.figures === null) return;
  showFigures();
  showSenders();
  showProcesses();
  drawCharts();
}

function showFigures() {
  const f = picture.figures;
  const figures = {
    ...f,
    late_p50: picture.late_s.p50,
    p50: picture.send_time_s.now.p50,
    p99: picture.send_time_s.now.p99,
  };
  for (const element of document.querySelectorAll("[data-figure]")) {
    const value = figures[element.dataset.figure];
    put(element, told(value, element.dataset.as ?? "count"));
    element.dataset.value = known(value) ? value : "";
  }
  const all = f.expected || 1;
  const parts = { sent: f.sent, failed: f.failed, dead: f.dead, flight: f.in_flight, queued: f.queued, coming: f.coming };
  for (const [name, count] of Object.entries(parts)) {
    $("bar").querySelector(`.${name}`).style.width = `${(100 * (count ?? 0)) / all}%`;
  }
  $("bar").setAttribute(
    "aria-label",
    `${told(f.sent, "count")} sent, ${told(f.failed, "count")} failed, ${told(f.dead, "count")} given up, ` +
      `${told(f.in_flight, "count")} in flight, ${told(f.queued, "count")} queued`,
  );
  const balance = $("balance");
  balance.dataset.state = f.balanced ? "good" : "bad";
  const missing = f.missing ? `: missing ${as.count(f.missing)} confirmed message${f.missing === 1 ? "" : "s"}` : "";
  put(balance, f.balanced ? "✓ The ledger balances" : `✗ The ledger does not balance${missing}`);
  put($("left"), leftOver(f));
  $("asked").hidden = !known(f.asked_per_s);
}

function leftOver(f) {
  if (f.done) return `in ${as.duration(f.settled / f.overall_per_s || 0)}`;
  if (over || !picture.collector.answering || f.expected === null) return "\u00a0";
  return known(f.left_s) ? `about ${as.duration(f.left_s)} left` : "\u00a0";
}

const rowsByName = new Map();

function showSenders() {
  const rows = picture.senders.filter((row) => row.state !== "left" && row.state !== "done");
  const sum = rows.reduce((total, row) => total + (row.rate_per_s ?? 0), 0);
  const names = new Set(rows.map((row) => row.name));
  for (const [name, cells] of rowsByName) {
    if (!names.has(name)) {
      cells.row.remove();
      rowsByName.delete(name);
    }
  }
  rows.forEach((row, index) => {
    let cells = rowsByName.get(row.name);
    if (cells === undefined) rowsByName.set(row.name, (cells = makeSenderRow(row.name)));
    if ($("senders").children[index] !== cells.row) $("senders").insertBefore(cells.row, $("senders").children[index] ?? null);
    cells.row.dataset.state = row.alive ? row.state : "silent";
    put(cells.tag, row.trouble?.words ?? "");
    cells.tag.hidden = row.trouble === null;
    cells.tag.className = `tag ${row.trouble?.grave ? "bad" : ""}`;
    cells.name.title = `${row.name}: ${row.state}, process ${row.pid} on ${row.host}`;
    const share = sum ? (row.rate_per_s ?? 0) / sum : null;
    put(cells.rate, told(row.rate_per_s, "rate"));
    put(cells.share, told(share, "percent"));
    cells.track.style.width = `${100 * (share ?? 0)}%`;
    put(cells.errors, told(row.error_share, "percent"));
    put(cells.mean, told(row.mean_s, "seconds"));
    put(cells.busy, row.alive && row.slots ? as.count(row.busy) : UNKNOWN);
    put(cells.slots, row.alive && row.slots ? ` of ${as.count(row.slots)}` : "");
    put(cells.sends, as.count(row.sends));
    put(cells.age, as.ago(row.age_s));
  });
  const omitted = picture.senders_left_out;
  const notes = omitted ? [`the busiest ${rows.length} of ${rows.length + omitted}`] : [];
  if (picture.senders_ended) notes.push(`${picture.senders_ended} left`);
  put($("left-out"), notes.join(", "));
}

function makeSenderRow(name) {
  const cells = { tag: make("span", { className: "tag", hidden: true }), share: make("span"), track: make("i"), slots: make("small") };
  const cell = (key, className) => (cells[key] = make("td", { className }));
  cells.name = make("td", { className: "name" }, name, cells.tag);
  cells.busy = make("span");
  cells.row = make(
    "tr", {},
    cells.name,
    cell("rate", "n"),
    make("td", { className: "share wide" }, make("div", {}, make("div", { className: "track" }, cells.track), cells.share)),
    cell("errors", "n"),
    cell("mean", "n wide"),
    make("td", { className: "n wide" }, cells.busy, cells.slots),
    cell("sends", "n wide"),
    cell("age", "n"),
  );
  return cells;
}

function showProcesses() {
  const words = picture.processes.map((row) => {
    const state = row.state === "done" || row.state === "left" || row.alive ? row.state : `silent for ${as.duration(row.age_s)}`;
    return `${row.name} ${state}`;
  });
  put($("processes"), words.join(" · "));
}

let eventsShown = "";

function showEvents() {
  const events = picture.events;
  const key = JSON.stringify(events.map((event) => [Math.round(event.at), event.kind, event.subject, event.messages]));
  if (key === eventsShown) return;
  eventsShown = key;
  $("events").replaceChildren(
    ...events.map((event) => {
      const item = make("li", {}, make("time", { textContent: timeOf(event.at), dateTime: new Date(1000 * event.at).toISOString() }));
      const what = make("span", {}, make("b", { textContent: event.kind }), ` ${event.subject}`);
      if (event.messages) what.append(`, ${as.count(event.messages)} message${event.messages === 1 ? "" : "s"}`);
      item.dataset.weight = event.grave ? "bad" : "";
      item.append(what);
      return item;
    }),
  );
  if (!events.length) $("events").append(make("li", { className: "nothing", textContent: "Nothing has happened yet." }));
}

// -- charts ---------------------------------------------------------------------------------------------------------

const charts = [];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function faint(name, share) {
  const hex = colour(name);
  return `${hex}${Math.round(255 * share).toString(16).padStart(2, "0")}`;
}

const MINUTE = 60;
const sync = uPlot.sync("time");

const dayTime = {
  space: 64,
  incrs: [1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, 3600, 2 * 3600, 6 * 3600, 86400],
  values: (u, splits) => splits.map((t) => (splits[1] - splits[0] >= MINUTE ? timeOf(t).slice(0, 5) : timeOf(t))),
};
const sinceStart = {
  space: 56,
  incrs: [1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, 3600, 2 * 3600, 6 * 3600, 86400],
  values: (u, splits) => splits.map((t) => (t === 0 ? "0" : splits[1] < MINUTE && t < 2 * MINUTE ? `${t} s` : t < 2 * 3600 ? `${+(t / 60).toFixed(1)} min` : `${+(t / 3600).toFixed(1)} h`)),
};

// A chart: `lines` are {label, color, as, dashed, fill, width, band}; `make` gives its columns, the first one is x.
function addChart(id, { lines, columns, x, yRange, yValues, tell, marks }) {
  const holder = $(`plot-${id}`);
  const chart = { holder, plot: null };
  const legend = $(`legend-${id}`);
  for (const line of lines) {
    if (line.silent) continue;
    line.value = make("dd", { textContent: UNKNOWN });
    line.swatch = make("i", { className: line.dashed ? "dashed" : line.band ? "band" : "" });
    legend.append(make("div", {}, make("dt", {}, line.swatch, line.label), line.value));
  }
  for (const extra of tell?.labels ?? []) {
    const value = make("dd", { textContent: UNKNOWN });
    (chart.extras ??= []).push(value);
    legend.append(make("div", {}, make("dt", { textContent: extra }), value));
  }
  chart.showValues = (index) => {
    const data = chart.plot.data;
    lines.forEach((line, i) => {
      if (line.silent) return;
      const at = index ?? data[i + 1].length - 1;
      put(line.value, told(data[i + 1][at], line.as));
    });
  };
  chart.build = () => {
    chart.plot?.destroy();
    const soft = colour("soft");
    const grid = { stroke: colour("line"), width: 1 };
    const axis = { stroke: soft, grid, ticks: { show: false }, font: "12px system-ui, sans-serif", gap: 6 };
    for (const line of lines) {
      if (line.silent) continue;
      if (line.dashed) line.swatch.style.borderColor = colour(line.color);
      else line.swatch.style.background = line.band ? faint(line.color, Math.min(1, 3 * line.depth)) : colour(line.color);
    }
    chart.plot = new uPlot(
      {
        width: Math.max(200, holder.clientWidth),
        height: holder.clientHeight || 190,
        padding: [10, 30, 0, 0], // the last time of day is centred under its tick
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 }, ...(x === dayTime ? { sync: { key: sync.key } } : {}) },
        scales: { x: { time: false, range: (u, low, high) => chart.range(low, high) }, y: { range: yRange ?? ((u, low, high) => [0, Math.max(high * 1.12, 1e-9)]) } },
        axes: [
          { ...axis, ...x, size: 26 },
          { ...axis, size: 46, space: 34, values: yValues ?? ((u, splits) => splits.map(as.short)) },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.label,
            stroke: line.band ? faint(line.color, 0.45) : colour(line.color),
            width: line.width ?? 1.8,
            dash: line.dashed ? [5, 4] : undefined,
            fill: line.fill ? faint(line.color, line.fill) : undefined,
            points: { show: false },
          })),
        ],
        bands: lines.flatMap((line, i) => (line.band ? [{ series: [i + 1, i + 1 + line.band], fill: faint(line.color, line.depth) }] : [])),
        hooks: {
          setCursor: [(u) => chart.showValues(u.cursor.idx)],
          drawAxes: marks ? [(u) => drawMarks(u, marks)] : [],
        },
      },
      columns() ?? [[], ...lines.map(() => [])],
      holder,
    );
  };
  chart.range = (low, high) => [low ?? 0, high ?? 1];
  chart.draw = () => {
    const data = columns();
    if (data === null) return;
    if (chart.plot === null) chart.build();
    chart.range = rangeOf(id, data[0]);
    chart.plot.setData(data);
    if (chart.plot.cursor.idx === null || chart.plot.cursor.idx === undefined) chart.showValues(null);
    tell?.show(chart.extras);
    holder.setAttribute("aria-label", spoken(id, lines));
  };
  charts.push(chart);
}

function spoken(id, lines) {
  return `${id}: ${lines.filter((line) => !line.silent).map((line) => `${line.label} ${line.value.textContent}`).join(", ")}`;
}

function rangeOf(id, x) {
  if (id === "reach") {
    const far = x.length ? x[x.length - 1] : 1;
    return () => [0, far > 5 * MINUTE ? Math.max(far * 1.03, 16 * MINUTE) : Math.max(far * 1.05, 5)];
  }
  const last = x.length ? x[x.length - 1] : Date.now() / 1000;
  const first = x.length ? x[0] : last;
  return () => [Math.min(first, last - 20), last];
}

function drawMarks(u, marks) {
  const { ctx } = u;
  ctx.save();
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  for (const [at, text] of marks) {
    if (at > u.scales.x.max) continue;
    const x = Math.round(u.valToPos(at, "x", true));
    ctx.strokeStyle = colour("flight");
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, u.bbox.top);
    ctx.lineTo(x, u.bbox.top + u.bbox.height);
    ctx.stroke();
    if (u.scales.x.max < 30 * MINUTE) continue; // the axis itself says so
    ctx.fillStyle = colour("soft");
    ctx.textAlign = "right";
    ctx.fillText(text, x - 5 * devicePixelRatio, u.bbox.top + u.bbox.height - 8 * devicePixelRatio);
  }
  ctx.restore();
}

// The part of the series that the charts show, with a hole wherever nothing was heard for long.
let shown = null;

function cut() {
  const series = span === "whole" ? whole : recent;
  if (series === null || !series.columns.t_s.length) return null;
  const t = series.columns.t_s;
  let from = 0;
  if (span !== "whole") while (t[t.length - 1] - t[from] > Number(span)) from++;
  const columns = { failures: [], again: [], arrivals: [] };
  const names = Object.keys(series.columns);
  for (const name of names) columns[name] = [];
  const most = Math.max(5 * series.every_s, 6);
  for (let i = from; i < t.length; i++) {
    const after = i > 0 ? t[i] - t[i - 1] : null;
    if (i > from && after > most) {
      for (const name in columns) columns[name].push(null);
      columns.t_s[columns.t_s.length - 1] = t[i] - after / 2;
    }
    for (const name of names) columns[name].push(series.columns[name][i]);
    columns.failures.push(smooth(series.columns, i, "failed", "dead"));
    columns.again.push(smooth(series.columns, i, "retried"));
    columns.arrivals.push(smooth(series.columns, i, "accepted"));
  }
  return columns;
}

// Messages a second over the last five: batches arrive in lumps.
function smooth(columns, i, ...names) {
  const t = columns.t_s;
  let from = i;
  while (from > 0 && t[i] - t[from] < 4.9) from--;
  if (from === i) return null;
  const grown = names.reduce((sum, name) => sum + columns[name][i] - columns[name][from], 0);
  return Math.max(0, grown) / (t[i] - t[from]);
}

const pick = (...names) => () => shown && names.map((name) => shown[name]);

function reachColumns() {
  if (whole === null || whole.began_at === null || !picture?.figures?.expected) return null;
  const { expected, sent, done } = picture.figures;
  const x = [0];
  const share = [0];
  whole.columns.t_s.forEach((t, i) => {
    if (t - whole.began_at <= 0) return;
    x.push(t - whole.began_at);
    share.push(Math.min(1, whole.columns.sent[i] / expected));
  });
  const now = (picture.point?.t_s ?? 0) - whole.began_at;
  if (now > x[x.length - 1] && !done) {
    x.push(now);
    share.push(Math.min(1, sent / expected));
  }
  const ahead = x.map(() => null);
  const left = picture.figures.left_s;
  if (!done && !over && picture.collector.answering && known(left)) {
    ahead[ahead.length - 1] = share[share.length - 1];
    x.push(x[x.length - 1] + left);
    share.push(null);
    ahead.push(1);
  }
  return [x, share, ahead];
}

function showReach(extras) {
  const after = picture.reach.share_after;
  const times = picture.reach.reach_s;
  put(extras[0], told(picture.reach.share, "percent"));
  ["p50", "p90", "p99", "p100"].forEach((name, i) => put(extras[i + 1], told(times[name], "seconds")));
  const lasted = picture.reach.began_at === null ? 0 : (picture.point?.t_s ?? 0) - picture.reach.began_at;
  [600, 900].forEach((mark, i) => {
    put(extras[i + 5], told(after[String(mark)], "percent"));
    extras[i + 5].parentElement.hidden = lasted < mark; // of a run of half a minute there is nothing to tell
  });
}

// At the beginning a queue fills at once: such arrivals may leave the chart at its top, for the sake of the rest.
function rateRange(u) {
  const sorted = (values) => (values ?? []).filter(known).sort((a, b) => a - b);
  const arrivals = sorted(u.data[2]);
  return [0, 1.15 * Math.max(sorted(u.data[1]).at(-1) ?? 0, arrivals[Math.floor(0.8 * arrivals.length)] ?? 0, 1)];
}

function addCharts() {
  addChart("rate", {
    x: dayTime,
    columns: pick("t_s", "rate_per_s", "arrivals"),
    yRange: rateRange,
    lines: [
      { label: "settled", color: "sent", as: "rate", fill: 0.12, width: 2 },
      { label: "accepted, 5 s mean", color: "queued", as: "rate", dashed: true, width: 1.5 },
    ],
  });
  addChart("queue", {
    x: dayTime,
    columns: pick("t_s", "queued", "in_flight"),
    lines: [
      { label: "queued", color: "queued", as: "count", fill: 0.22 },
      { label: "in flight", color: "flight", as: "count", width: 2 },
    ],
  });
  addChart("times", {
    x: dayTime,
    columns: pick("t_s", "send_time_p99_s", "send_time_p90_s", "send_time_p50_s"),
    lines: [
      { label: "p99", color: "times", as: "seconds", width: 1, band: 1, depth: 0.14 },
      { label: "p90", color: "times", as: "seconds", width: 1, band: 1, depth: 0.3 },
      { label: "p50", color: "times", as: "seconds", width: 2.2 },
    ],
  });
  addChart("reach", {
    x: sinceStart,
    columns: reachColumns,
    yRange: () => [0, 1.05],
    yValues: (u, splits) => splits.map((share) => (share > 1 ? "" : `${Math.round(100 * share)} %`)),
    marks: [[10 * MINUTE, "10 min"], [15 * MINUTE, "15 min"]],
    lines: [
      { label: "sent", color: "sent", as: "percent", fill: 0.12, width: 2.2, silent: true },
      { label: "at this rate", color: "sent", as: "percent", dashed: true, width: 1.5, silent: true },
    ],
    tell: { labels: ["now", "50 %", "90 %", "99 %", "all", "after 10 min", "after 15 min"], show: showReach },
  });
  addChart("failures", {
    x: dayTime,
    columns: pick("t_s", "failures", "again"),
    yRange: (u, low, high) => [0, Math.max((high ?? 0) * 1.15, 1)],
    lines: [
      { label: "for good", color: "failed", as: "rate", fill: 0.16, width: 2 },
      { label: "to be tried again", color: "dead", as: "rate", dashed: true, width: 1.5 },
    ],
  });
}

function drawCharts() {
  if (document.hidden) return;
  shown = cut();
  for (const chart of charts) chart.draw();
}

// -- begin ----------------------------------------------------------------------------------------------------------

addCharts();
for (const input of document.querySelectorAll("input[name=span]")) {
  input.addEventListener("change", () => {
    span = input.value;
    drawCharts();
  });
}
new ResizeObserver(() => {
  for (const chart of charts) chart.plot?.setSize({ width: Math.max(200, chart.holder.clientWidth), height: chart.holder.clientHeight || 190 });
}).observe(document.querySelector(".charts"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const chart of charts) if (chart.plot !== null) chart.build();
  drawCharts();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && picture !== null) fetchSeries(true);
});
setInterval(showStatus, 1000);
connect();
