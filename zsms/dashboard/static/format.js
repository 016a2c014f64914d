/* Numbers for people: what zsms/formats.py is, for pages; a test holds the two together. */
"use strict";

const zsmsFormat = (() => {
  const UNKNOWN = "–";
  const UNITS = [["G", 1e9], ["M", 1e6], ["k", 1e3]];

  const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);
  const two = (n) => String(n).padStart(2, "0");
  const trimmed = (text) => (text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text);

  /* With so many digits after the point, and thousands apart: 1,234.5. */
  function fixed(value, digits = 0) {
    const [whole, rest] = value.toFixed(digits).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
    return rest === undefined ? grouped : `${grouped}.${rest}`;
  }

  /* Three digits that count, more before the point where there are more. */
  const three = (value) => fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);

  const as = {
    count: (value) => fixed(value),
    rate: (value) => (0 < value && value < 9.95 ? fixed(value, 1) : fixed(value)),
    /* Never 100 % while something is missing, and never 0 % when something is there. */
    percent(share) {
      if (share === 0 || share === 1) return `${fixed(100 * share)} %`;
      const value = Math.min(Math.max(100 * share, 0.01), 99.99);
      return `${fixed(value, value < 1 || value > 99.9 ? 2 : 1)} %`;
    },
    seconds(value) {
      if (value === 0) return "0 s";
      if (value >= 0.9995) return `${three(value)} s`;
      return value >= 0.9995e-3 ? `${three(1e3 * value)} ms` : `${fixed(1e6 * value)} µs`;
    },
    duration(value) {
      if (value < 1) return "a moment";
      if (value < 99.5) return `${fixed(value)} s`;
      if (value < 5400) return `${Math.floor(value / 60)} min ${two(Math.floor(value % 60))} s`;
      return `${fixed(Math.floor(value / 3600))} h ${two(Math.floor((value % 3600) / 60))} min`;
    },
    ago(value) {
      if (value < 9.95) return `${fixed(Math.max(0, value), 1)} s`;
      if (value < 99.5) return `${fixed(value)} s`;
      return value < 5970 ? `${fixed(value / 60)} min` : `${fixed(value / 3600)} h`;
    },
    /* 0:07, 1:02:03 */
    clock(value) {
      const whole = Number(value.toFixed(0));
      const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
      return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
    },
    /* For an axis: 0.002, 1, 300, 10k, 2.5M; three digits that count, and no zeros behind them. */
    short(value) {
      for (const [unit, size] of UNITS) if (value >= 0.9995 * size) return `${trimmed(three(value / size))}${unit}`;
      if (value >= 0.9995) return trimmed(three(value));
      let [digits, limit] = [3, 0.09995];
      for (; value < limit && digits < 9; digits++) limit /= 10;
      return trimmed(fixed(value, digits));
    },
  };
  /* For the axis of a time since the beginning: 4.2 s, then a clock. */
  as.since = (value) => (value < 100 ? `${trimmed(fixed(value, value < 9.95 ? 1 : 0))} s` : as.clock(value));

  return { as, known, UNKNOWN, told: (value, how) => (known(value) ? as[how](value) : UNKNOWN) };
})();
