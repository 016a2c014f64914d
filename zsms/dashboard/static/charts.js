/* Charts of a mesh over time, with uPlot, for the report of a run.

    zsmsCharts(element, columns, total);

`columns` are those of `zsms.stats.series`: lists of one length by name; null is an unknown figure. `total` is how many
messages there were to deliver. Colours are the custom properties of report.css, so that light, dark and print need no
code of their own. */
"use strict";

const zsmsCharts = (() => {
  const MARKS = [[600, "10 min"], [900, "15 min"]];
  const HEIGHT = 200;

  const { as, told } = zsmsFormat;

  // -- what is drawn -----------------------------------------------------------------------------------------------

  const CHARTS = [
    {
      id: "reach", title: "Reach", about: "share of the messages that are delivered", format: "percent", wide: true,
      ticks: (value) => `${Math.round(100 * value)} %`,
      lines: [["reach", "delivered", "--reach"]], fill: "--reach-fill", range: () => [0, 1], marks: MARKS,
    },
    {
      id: "rate", title: "Rate", about: "messages settled a second", format: "short",
      lines: [["rate_per_s", "rate", "--rate"]], fill: "--rate-fill",
    },
    {
      id: "queue", title: "Queue", about: "messages that wait, and that senders hold", format: "short",
      lines: [["queued", "queued", "--queued"], ["in_flight", "in flight", "--in-flight"]],
    },
    {
      id: "times", title: "Send time", about: "of the sends that ended since the point before", format: "seconds",
      lines: [
        ["send_time_p99_s", "p99", "--time-high"], ["send_time_p90_s", "p90", "--time-mid"],
        ["send_time_p50_s", "p50", "--time-low"],
      ],
      band: "--time-band",
    },
    {
      id: "failures", title: "Failures", about: "messages so far", format: "short",
      lines: [["failed", "failed", "--failed"], ["dead", "given up", "--dead"]],
    },
  ];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

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

  /* The curve at a time, by interpolation; null beyond its ends. */
  function valueAt([t, y], at) {
    const i = t.findIndex((time) => time >= at);
    if (i < 1) return i < 0 || t[0] > at ? null : y[0];
    return y[i - 1] + ((y[i] - y[i - 1]) * (at - t[i - 1])) / (t[i] - t[i - 1]);
  }

  function milestones(curve) {
    const said = [];
    for (const [level, name] of [[0.5, "50 %"], [0.9, "90 %"], [0.99, "99 %"], [1, "all"]]) {
      const at = reachedAt(curve, level);
      if (at != null) said.push(`${name} after ${as.since(at)}`);
    }
    return said.join(" · ");
  }

  /* A lone point between two gaps would be invisible as a line. */
  function lonely(u, si) {
    const y = u.data[si];
    return y.flatMap((value, i) => (value != null && y[i - 1] == null && y[i + 1] == null ? [i] : []));
  }

  function drawMarks(u, marks) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("--mark");
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    for (const [row, [at, name]] of marks.entries()) {
      if (at < u.scales.x.min || at > u.scales.x.max) continue;
      const x = Math.round(u.valToPos(at, "x", true));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.textAlign = "right";
      const value = valueAt(u.data, at);
      ctx.fillText(value == null ? name : `${name}: ${as.percent(value)}`, x - 5 * devicePixelRatio, bbox.top + bbox.height - (7 + 14 * row) * devicePixelRatio);
    }
    ctx.restore();
  }

  // -- one chart ---------------------------------------------------------------------------------------------------

  const TIMES = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 36000, 86400];

  function element(tag, parent, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text != null) made.textContent = text;
    parent.append(made);
    return made;
  }

  function chart(spec, parent) {
    const figure = element("figure", parent, spec.wide ? "chart wide" : "chart");
    figure.dataset.chart = spec.id;
    const caption = element("figcaption", figure);
    element("strong", caption, "", spec.title);
    element("span", caption, "about", spec.about);
    const legend = element("div", figure, "legend");
    const when = element("span", legend, "when");
    const values = spec.lines.map(([, name, stroke]) => {
      const entry = element("span", legend, "entry");
      element("i", entry).style.background = `var(${stroke})`;
      entry.append(`${name} `);
      return element("b", entry, "", "–");
    });
    const plot = element("div", figure, "plot");
    const note = element("div", figure, "note");

    /* The figures under the cursor, or the newest. */
    function show(u) {
      const i = u.cursor.idx ?? u.data[0].length - 1;
      when.textContent = i < 0 ? "" : `at ${as.since(u.data[0][i])}`;
      values.forEach((value, k) => (value.textContent = told(i < 0 ? null : u.data[k + 1][i], spec.format)));
    }

    const axis = { stroke: () => colour("--muted"), font: "11px system-ui, sans-serif", ticks: { show: false } };
    const grid = { stroke: () => colour("--grid"), width: 1 };
    const u = new uPlot(
      {
        width: 300,
        height: HEIGHT,
        legend: { show: false },
        cursor: { sync: { key: "zsms" }, drag: { x: true, y: false }, points: { size: 7 } },
        scales: {
          x: { time: false, range: (_, low, high) => [Math.min(0, low), longEnough(high, spec)] },
          y: { range: spec.range || ((_, low, high) => [0, high > 0 ? 1.08 * high : 1]) },
        },
        axes: [
          { ...axis, grid: { show: false }, size: 26, gap: 4, space: 64, incrs: TIMES, values: (_, ticks) => ticks.map(as.since) },
          { ...axis, grid, size: 58, gap: 6, space: 34, values: (_, ticks) => ticks.map(spec.ticks || as[spec.format]) },
        ],
        series: [
          {},
          ...spec.lines.map(([, label, stroke]) => ({
            label,
            stroke: () => colour(stroke),
            fill: spec.fill && (() => colour(spec.fill)),
            width: 1.75,
            points: { show: true, filter: lonely, size: 5 },
          })),
        ],
        bands: spec.band ? [{ series: [1, spec.lines.length], fill: () => colour(spec.band) }] : [],
        hooks: { setCursor: [show], setData: [show], draw: spec.marks ? [(self) => drawMarks(self, spec.marks)] : [] },
      },
      [[], ...spec.lines.map(() => [])],
      plot,
    );
    new ResizeObserver(([entry]) => {
      const width = Math.floor(entry.contentRect.width);
      if (width > 0 && width !== u.width) u.setSize({ width, height: HEIGHT });
    }).observe(plot);

    return {
      u,
      set(columns, total) {
        const data = spec.id === "reach" ? reach(columns, total) : [columns.t_s, ...spec.lines.map(([key]) => columns[key])];
        u.setData(data);
        show(u);
        const nothing = data.slice(1).every((y) => y.every((value) => !value));
        figure.classList.toggle("empty", nothing);
        note.textContent = spec.id === "reach" ? milestones(data) : spec.id === "failures" && nothing ? "No message has failed." : "";
      },
    };
  }

  /* A run of minutes is seen against the marks, even when it was over before them. */
  function longEnough(high, spec) {
    if (!(high > 0)) return 1;
    return spec.marks && high > 240 ? Math.max(high, 1.04 * spec.marks[spec.marks.length - 1][0]) : high;
  }

  return (root, columns, total) => {
    root.classList.add("charts");
    const charts = CHARTS.map((spec) => chart(spec, root));
    charts.forEach((each) => each.set(columns, total));
    for (const query of ["(prefers-color-scheme: dark)", "print"]) {
      matchMedia(query).addEventListener("change", () => charts.forEach(({ u }) => u.redraw(false)));
    }
  };
})();
