// Numbers as texts. Nothing is shown as a dash.

const NOTHING = "–";
const COUNT = new Intl.NumberFormat("en");

export const count = (value) => COUNT.format(value);

export const rate = (value) => value.toFixed(1);

export const percent = (value) => (value === null ? NOTHING : `${Math.round(value * 100)} %`);

// A residual spans many powers of ten.
export const power = (value) => (value === null ? NOTHING : value.toExponential(1));

export function span(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`;
}

// How long something has lasted: two units at most.
export function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min`;
  return `${whole} s`;
}

export const words = (key) => key.replaceAll("_", " ");
