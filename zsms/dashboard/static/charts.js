/* A chart over time, with uPlot, as the report of a run and the dashboard draw it.

    zsmsChart(spec, plot, legend).set(columns)     lists of one length, the first one is x; null is unknown

A spec has a `title` and `lines` of {label, color, as} and, where they differ, {width, dashed, fill, band, depth, silent}: `fill` is
how strong the ground below the line is, `depth` that between it and the line `band` after it; a silent line has no entry
in the legend. `x` is one of `zsmsChart.over`; `top(u)` is the upper end of the upright axis, `ticks` are its words. With
`marks` some times are drawn, with `zoom` a part can be chosen, and `show(at)` is told where the cursor is. Colours are
custom properties of the page, so that light, dark and print need no code of their own. */
"use strict";

const zsmsChart = (() => {
  const { as, told, UNKNOWN } = zsmsFormat;
  const MARKS = [[600, "10 min"], [900, "15 min"]];
  const TIMES = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 86400];
  const FONT = "system-ui, sans-serif";

  const since = { incrs: TIMES, values: (_, ticks) => ticks.map(as.since) };
  const over = {
    since: { ...since, range: (low, high) => [Math.min(0, low), high || 1] },
    /* A run of minutes is seen against the marks, even when it was over before them. */
    reach: { ...since, range: (low, high) => [0, high > 240 ? Math.max(1.03 * high, 960) : 1.05 * high || 1] },
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const faint = (name, share) => `${colour(name)}${Math.round(255 * share).toString(16).padStart(2, "0")}`;

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  /* Another figure of a legend, whose element this returns. */
  function entry(legend, label, line = null) {
    const value = make("b", { textContent: UNKNOWN });
    const parts = [`${label} `, value];
    if (line) {
      parts.unshift(make("i", { className: line.dashed ? "dashed" : "" }));
      parts[0].style.color = `var(--${line.color})`;
      if (line.band) parts[0].style.opacity = 0.2 + line.depth;
    }
    legend.append(make("span", { className: "entry" }, ...parts));
    return value;
  }

  /* A lone point between two gaps would be invisible as a line. */
  function lonely(u, si) {
    const y = u.data[si];
    return y.flatMap((value, i) => (value != null && y[i - 1] == null && y[i + 1] == null ? [i] : []));
  }

  /* The curve at a time, by interpolation; null beyond its ends. */
  function valueAt([t, y], at) {
    const i = t.findIndex((time) => time >= at);
    if (i < 1) return i < 0 || t[0] > at ? null : y[0];
    return y[i] == null ? null : y[i - 1] + ((y[i] - y[i - 1]) * (at - t[i - 1])) / (t[i] - t[i - 1]);
  }

  function drawMarks(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("soft");
    ctx.font = `${11 * devicePixelRatio}px ${FONT}`;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.textAlign = "right";
    for (const [row, [at, name]] of MARKS.entries()) {
      if (at < u.scales.x.min || at > u.scales.x.max) continue;
      const x = Math.round(u.valToPos(at, "x", true));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const value = valueAt(u.data, at);
      const y = bbox.top + bbox.height - (7 + 14 * row) * devicePixelRatio;
      ctx.fillText(value == null ? name : `${name}: ${as.percent(value)}`, x - 5 * devicePixelRatio, y);
    }
    ctx.restore();
  }

  function chart(spec, plot, legend) {
    const { lines, x } = spec;
    const values = lines.map((line) => (line.silent ? null : entry(legend, line.label, line)));

    /* The figures under the cursor, or the newest. */
    function show(u) {
      const i = u.cursor.idx ?? u.data[0].length - 1;
      values.forEach((value, k) => value && (value.textContent = told(u.data[k + 1][i], lines[k].as)));
      spec.show?.(u.data[0][i]);
      const said = [...legend.querySelectorAll(".entry:not([hidden])")].map((each) => each.textContent);
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", `${spec.title}: ${said.join(", ")}`);
    }

    const size = () => ({ width: Math.max(200, Math.floor(plot.clientWidth)), height: plot.clientHeight || 190 });
    const axis = { stroke: () => colour("soft"), ticks: { show: false }, font: `12px ${FONT}`, gap: 6 };
    const grid = { stroke: () => colour("line"), width: 1 };
    const top = spec.top ?? ((u, high) => 1.1 * high || 1);
    const u = new uPlot(
      {
        ...size(),
        padding: [10, 30, 0, 0], // the last time is centred under its tick
        legend: { show: false },
        cursor: { y: false, drag: { x: !!spec.zoom, y: false }, points: { size: 7 }, sync: { key: spec.sync ?? spec.id } },
        scales: {
          x: { time: false, range: (_, low, high) => x.range(low ?? 0, high ?? 0) },
          y: { range: (self, _, high) => [0, top(self, high ?? 0)] },
        },
        axes: [
          { ...axis, grid: { ...grid, show: !spec.zoom }, size: 26, space: 64, incrs: x.incrs, values: x.values },
          { ...axis, grid, size: 58, space: 34, values: (_, ticks) => ticks.map(spec.ticks ?? as.short) },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.label,
            stroke: () => (line.band ? faint(line.color, 0.45) : colour(line.color)),
            width: line.width ?? 1.8,
            dash: line.dashed && [5, 4],
            fill: line.fill && (() => faint(line.color, line.fill)),
            points: { show: true, filter: lonely, size: 5 },
          })),
        ],
        bands: lines.flatMap((line, i) =>
          line.band ? [{ series: [i + 1, i + 1 + line.band], fill: () => faint(line.color, line.depth) }] : [],
        ),
        hooks: { setCursor: [show], setData: [show], draw: spec.marks ? [drawMarks] : [] },
      },
      [[], ...lines.map(() => [])],
      plot,
    );
    new ResizeObserver(() => u.setSize(size())).observe(plot);
    for (const query of ["(prefers-color-scheme: dark)", "print"]) {
      matchMedia(query).addEventListener("change", () => u.redraw(false));
    }
    return { set: (columns) => u.setData(columns) };
  }

  return Object.assign(chart, { make, entry, over, TIMES });
})();
