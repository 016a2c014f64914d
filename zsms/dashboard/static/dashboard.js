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
const { make } = zsmsChart;
const timeOf = (seconds) => clock.format(new Date(1000 * seconds));

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
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
    if (over) return source.close(); // the run's dashboard is gone; who comes back to the page may find the next one
    lostAt = lostAt ?? Date.now();
    showStatus();
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000); // refused: the browser itself gives up
  });
}

function showStatus() {
  const [state, text, age = ""] = statusNow();
  $("status").dataset.state = state;
  put($("status-text"), text);
  put($("status-age"), age); // apart, for a screen reader would read each second of it
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
  if (answering && picture.figures.stale && !picture.figures.done) {
    const [, words, age] = /^(.*?)( for [^ ]* s)?$/.exec(picture.figures.stale);
    return ["silent", `Stale: ${words}`, age];
  }
  if (answering) return ["live", picture.figures.done ? "All messages are settled" : "Live"];
  if (heard_at === null) return ["waiting", "Waiting for the collector"];
  return ["silent", `No word from the collector since ${timeOf(heard_at)}`, ` (${as.duration(picture.at - heard_at)})`];
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
  const sum = picture.senders_rate_per_s;
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
  const notes = omitted ? [`the busiest ${as.count(rows.length)} of ${as.count(rows.length + omitted)}`] : [];
  const troubled = picture.senders_left_out_in_trouble;
  if (troubled) notes.push(`${as.count(troubled)} of the others silent, failing or slow`);
  if (picture.senders_ended) notes.push(`${as.count(picture.senders_ended)} left`);
  put($("left-out"), notes.join(", "));
}

function makeSenderRow(name) {
  const cells = { tag: make("span", { className: "tag", hidden: true }), share: make("span"), track: make("i"), slots: make("small") };
  const cell = (key, className) => (cells[key] = make("td", { className }));
  // A name may be written from right to left: it turns round nothing but itself.
  cells.name = make("th", { className: "name", scope: "row" }, make("div", {}, make("bdi", {}, name), cells.tag));
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
    return `\u2068${row.name}\u2069 ${state}`;
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
const MINUTE = 60;
const time = {
  incrs: zsmsChart.TIMES,
  values: (u, splits) => splits.map((t) => (splits[1] - splits[0] >= MINUTE ? timeOf(t).slice(0, 5) : timeOf(t))),
  range: (low, high) => [Math.min(low, (high || Date.now() / 1000) - 20), high || Date.now() / 1000],
};

// `columns` gives those of a chart, the first one is x; `tell` has the labels of more figures, and shows these.
function addChart(id, { columns, tell, ...spec }) {
  const legend = $(`legend-${id}`);
  const title = legend.previousElementSibling.firstChild.textContent.trim();
  const chart = zsmsChart({ id, title, x: time, sync: id === "reach" ? id : "time", ...spec }, $(`plot-${id}`), legend);
  const extras = (tell?.labels ?? []).map((label) => zsmsChart.entry(legend, label));
  charts.push(() => {
    const data = columns();
    if (data === null) return;
    tell?.show(extras);
    chart.set(data); // and it says the legend to who can't see it
  });
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
function rateTop(u) {
  const sorted = (values) => (values ?? []).filter(known).sort((a, b) => a - b);
  const arrivals = sorted(u.data[2]);
  return 1.15 * Math.max(sorted(u.data[1]).at(-1) ?? 0, arrivals[Math.floor(0.8 * arrivals.length)] ?? 0, 1);
}

function addCharts() {
  addChart("rate", {
    columns: pick("t_s", "rate_per_s", "arrivals"),
    top: rateTop,
    lines: [
      { label: "settled", color: "sent", as: "rate", fill: 0.12, width: 2 },
      { label: "accepted, 5 s mean", color: "queued", as: "rate", dashed: true, width: 1.5 },
    ],
  });
  addChart("queue", {
    columns: pick("t_s", "queued", "in_flight"),
    lines: [
      { label: "queued", color: "queued", as: "count", fill: 0.22 },
      { label: "in flight", color: "flight", as: "count", width: 2 },
    ],
  });
  addChart("times", {
    columns: pick("t_s", "send_time_p99_s", "send_time_p90_s", "send_time_p50_s"),
    lines: [
      { label: "p99", color: "times", as: "seconds", width: 1, band: 1, depth: 0.14 },
      { label: "p90", color: "times", as: "seconds", width: 1, band: 1, depth: 0.3 },
      { label: "p50", color: "times", as: "seconds", width: 2.2 },
    ],
  });
  addChart("reach", {
    x: zsmsChart.over.reach,
    columns: reachColumns,
    top: () => 1.05,
    ticks: (share) => (share > 1 ? "" : `${Math.round(100 * share)} %`),
    marks: true,
    lines: [
      { label: "sent", color: "sent", as: "percent", fill: 0.12, width: 2.2, silent: true },
      { label: "at this rate", color: "sent", as: "percent", dashed: true, width: 1.5, silent: true },
    ],
    tell: { labels: ["now", "50 %", "90 %", "99 %", "all", "after 10 min", "after 15 min"], show: showReach },
  });
  addChart("failures", {
    columns: pick("t_s", "failures", "again"),
    top: (u, high) => Math.max(1.15 * high, 1),
    lines: [
      { label: "for good", color: "failed", as: "rate", fill: 0.16, width: 2 },
      { label: "to be tried again", color: "dead", as: "rate", dashed: true, width: 1.5 },
    ],
  });
}

function drawCharts() {
  if (document.hidden) return;
  shown = cut();
  for (const draw of charts) draw();
}

// -- begin ----------------------------------------------------------------------------------------------------------

addCharts();
for (const input of document.querySelectorAll("input[name=span]")) {
  input.addEventListener("change", () => {
    span = input.value;
    drawCharts();
  });
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden || picture === null) return;
  if (over && source.readyState === EventSource.CLOSED) connect();
  fetchSeries(true);
});
setInterval(showStatus, 1000);
connect();
