/* The charts of a run's report.

    zsmsReport(element, columns, total);

`columns` are those of `zsms.stats.series`, `total` is how many messages there were to deliver. */
"use strict";

const zsmsReport = (() => {
  const { as, told } = zsmsFormat;
  const { make, over } = zsmsChart;

  const CHARTS = [
    {
      id: "reach", title: "Reach", about: "share of the messages that are delivered", wide: true, x: over.reach,
      ticks: (value) => `${Math.round(100 * value)} %`, top: () => 1, marks: true,
      lines: [{ label: "delivered", color: "sent", as: "percent", fill: 0.12 }],
      columns: reach, note: milestones,
    },
    {
      id: "rate", title: "Rate", about: "messages settled a second",
      lines: [{ key: "rate_per_s", label: "rate", color: "sent", as: "short", fill: 0.12 }],
    },
    {
      id: "queue", title: "Queue", about: "messages that wait, and that senders hold",
      lines: [
        { key: "queued", label: "queued", color: "queued", as: "short" },
        { key: "in_flight", label: "in flight", color: "flight", as: "short" },
      ],
    },
    {
      id: "times", title: "Send time", about: "of the sends that ended since the point before", ticks: as.seconds,
      lines: [
        { key: "send_time_p99_s", label: "p99", color: "times", as: "seconds", width: 1, band: 1, depth: 0.14 },
        { key: "send_time_p90_s", label: "p90", color: "times", as: "seconds", width: 1, band: 1, depth: 0.3 },
        { key: "send_time_p50_s", label: "p50", color: "times", as: "seconds", width: 2.2 },
      ],
    },
    {
      id: "failures", title: "Failures", about: "messages so far",
      lines: [
        { key: "failed", label: "failed", color: "failed", as: "short" },
        { key: "dead", label: "given up", color: "dead", as: "short" },
      ],
      note: (data) => (nothingIn(data) ? "No message has failed." : ""),
    },
  ];

  const nothingIn = (data) => data.slice(1).every((y) => y.every((value) => !value));

  /* The share delivered begins at 0 with the first message, whenever the first point was taken. */
  function reach(columns, total) {
    const [t, y] = [[...columns.t_s], columns.sent.map((sent) => (total ? sent / total : null))];
    if (t.length && t[0] > 0) {
      t.unshift(0);
      y.unshift(0);
    }
    return [t, y];
  }

  /* When the curve first reaches a share, by interpolation; null when it does not. */
  function reachedAt([t, y], level) {
    const i = y.findIndex((value) => value >= level);
    if (i < 1) return i < 0 ? null : t[0];
    return t[i - 1] + ((t[i] - t[i - 1]) * (level - y[i - 1])) / (y[i] - y[i - 1] || 1);
  }

  function milestones(curve) {
    const named = [[0.5, "50 %"], [0.9, "90 %"], [0.99, "99 %"], [1, "all"]];
    const found = named.map(([level, name]) => [reachedAt(curve, level), name]).filter(([at]) => at != null);
    return found.map(([at, name]) => `${name} after ${as.since(at)}`).join(" · ");
  }

  return (root, columns, total) => {
    root.classList.add("charts");
    for (const spec of CHARTS) {
      const data = spec.columns ? spec.columns(columns, total) : [columns.t_s, ...spec.lines.map(({ key }) => columns[key])];
      const [when, plot] = [make("span", { className: "when" }), make("div", { className: "plot" })];
      const legend = make("div", { className: "legend" }, when);
      const title = make("figcaption", {}, make("strong", {}, spec.title), make("span", { className: "about" }, spec.about));
      const note = make("div", { className: "note" }, spec.note ? spec.note(data) : "");
      const figure = make("figure", { className: spec.wide ? "chart wide" : "chart" }, title, legend, plot, note);
      figure.dataset.chart = spec.id;
      figure.classList.toggle("empty", nothingIn(data));
      root.append(figure);
      const show = (at) => (when.textContent = at == null ? "" : `at ${told(at, "since")}`);
      zsmsChart({ x: over.since, zoom: true, sync: "run", show, ...spec }, plot, legend).set(data);
    }
  };
})();
