// One stream: its picture, its numbers, its settings.

import { Control, fill } from "./controls.js";
import { age, count, percent, power, rate, span, words } from "./format.js";

const UP = { up: "Up", starting: "Starting", down: "Down", ended: "Ended" };
const OUTCOMES = ["explained", "held", "late", "dropped"];
// Two minutes of ticks.
const HISTORY = 240;
// A last frame that is younger needs no mention, in seconds.
const FRESH = 2;

export class Card {
  constructor(state, remove) {
    this.element = document.getElementById("card").content.firstElementChild.cloneNode(true);
    this.element.dataset.stream = state.name;
    this.name = state.name;
    this.history = [];
    this.options = { methods: [], colour_maps: [] };

    const title = this.part(".name");
    title.textContent = state.name;
    title.title = state.name;
    title.id = `stream-${state.name}`;
    this.element.setAttribute("aria-labelledby", title.id);
    this.part(".remove").addEventListener("click", () => remove(state.name));
    this.part(".remove").setAttribute("aria-label", `Remove ${state.name}`);
    this.image = this.part("img");
    this.image.alt = `Live picture of ${state.name}`;
    const picture = this.part(".picture");
    picture.title = "Larger or smaller";
    picture.addEventListener("click", () => {
      picture.setAttribute("aria-pressed", String(this.element.classList.toggle("large")));
      this.element.scrollIntoView({ block: "nearest" });
    });
    this.part(".controls").addEventListener("submit", (event) => event.preventDefault());
    this.controls = [...this.element.querySelectorAll(".field")].map(
      (field) => new Control(field, state.name, (changed) => this.show(changed)),
    );
    this.show(state);
  }

  part(selector) {
    return this.element.querySelector(selector);
  }

  // Only what has changed is written, so that a selection or a screen reader's place stays.
  write(selector, text) {
    const part = this.part(selector);
    if (part.textContent !== text) part.textContent = text;
  }

  offer(options) {
    this.options = options;
    this.show(this.state);
  }

  show(state) {
    this.state = state;
    this.element.dataset.up = state.up;
    this.write(".up-text", UP[state.up]);
    this.write(".source", state.source);
    this.part(".source").title = state.source;
    this.part(".last-error").hidden = state.last_error === null;
    const past = state.up === "up" || state.up === "ended" ? "Last error: " : "";
    this.write(".last-error", past + (state.last_error ?? ""));

    this.write(".class", state.target_label ?? "Nothing explained yet");
    this.write(".confidence", percent(state.target_probability));
    this.part(".level").style.width = `${100 * (state.target_probability ?? 0)}%`;
    this.write(".p50", span(state.latency?.p50));
    this.write(".p99", span(state.latency?.p99));
    this.write(".residual", power(state.last_residual));
    this.write(".decoded-fps", rate(state.decoded_fps));
    this.write(".explained-fps", rate(state.explained_fps));
    this.write(".reconnects", count(state.reconnects));
    this.showFrames(state.frames);
    this.showOutput(state);

    const choices = { colour_map: this.options.colour_maps, method: this.options.methods };
    for (const control of this.controls) {
      const value = state.look[control.key];
      if (control.key in choices && !control.dirty) fill(control.input, choices[control.key], value);
      control.show(value);
    }
  }

  showFrames(frames) {
    const dropped = Object.values(frames.dropped).reduce((sum, some) => sum + some, 0);
    const counts = { ...frames, dropped };
    const all = OUTCOMES.reduce((sum, outcome) => sum + counts[outcome], 0);
    for (const outcome of OUTCOMES) {
      this.write(`.outcomes .${outcome} dd`, count(counts[outcome]));
      this.part(`.share.${outcome}`).style.width = all > 0 ? `${(100 * counts[outcome]) / all}%` : "0";
    }
    const reasons = Object.entries(frames.dropped).filter(([, some]) => some > 0);
    const listed = reasons.map(([reason, some]) => `${words(reason)} ${count(some)}`).join(" · ");
    this.write(".reasons", listed === "" ? "Nothing dropped" : `Dropped: ${listed}`);
  }

  showOutput(state) {
    const size = state.size_px === null ? "size not known yet" : `${state.size_px[0]}×${state.size_px[1]}`;
    this.write(".output", `${size}, ${state.encoder ?? "no encoder yet"}`);
    const lines = state.sinks.map((sink) => {
      const name = sink.name === sink.kind ? sink.kind : `${sink.name} (${sink.kind})`;
      const viewers = sink.viewers === null ? "" : `, ${count(sink.viewers)} watching`;
      const error = sink.last_error === null ? "" : `: ${sink.last_error}`;
      return { up: sink.up, text: `${name} ${sink.up ? "up" : "down"}${viewers}${error}` };
    });
    const list = this.part(".sinks");
    while (list.children.length > lines.length) list.lastElementChild.remove();
    while (list.children.length < lines.length) list.append(document.createElement("li"));
    lines.forEach(({ up, text }, at) => {
      list.children[at].classList.toggle("is-down", !up);
      if (list.children[at].textContent !== text) list.children[at].textContent = text;
    });
    this.write(".configuration", JSON.stringify(state.configuration, null, 2));
  }

  // Twice a second, with the service's clock.
  tick(now) {
    const { since_unix_seconds: since, last_frame_unix_seconds: last } = this.state;
    this.write(".since", `for ${age(now - since)}`);
    const stale = last !== null && now - last > FRESH;
    this.part(".stale").hidden = !stale;
    if (stale) this.write(".stale", `Last frame ${age(now - last)} ago`);
    this.history.push(this.state.up === "up" ? this.state.latency : null);
    if (this.history.length > HISTORY) this.history.shift();
    this.draw();
  }

  draw() {
    const top = this.history.reduce((most, latency) => Math.max(most, latency?.p99 ?? 0), 0.05) * 1.1;
    const line = (key) => {
      let [path, pen] = ["", "M"];
      this.history.forEach((latency, at) => {
        if (latency === null) {
          pen = "M";
          return;
        }
        const x = HISTORY - this.history.length + at;
        path += `${pen}${x} ${(36 - (36 * latency[key]) / top).toFixed(1)}`;
        pen = "L";
      });
      return path;
    };
    this.part(".line-p50").setAttribute("d", line("p50"));
    this.part(".line-p99").setAttribute("d", line("p99"));
    this.write(".top", `0 to ${span(top)}`);
  }

  // The picture before it is let go when the new one is there.
  picture(url) {
    const before = this.image.src;
    this.image.src = url;
    this.image.hidden = false;
    this.part(".no-picture").hidden = true;
    if (before !== "") URL.revokeObjectURL(before);
  }
}
