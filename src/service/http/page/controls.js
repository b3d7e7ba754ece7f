// A setting of a stream: it shows what is, sends what a person sets, and shows at its own place what is wrong with it.

import { ask, pathOf } from "./api.js";

let ids = 0;

// Puts a fault, or none (""), at a field.
export function showFault(field, text) {
  const line = field.querySelector(".fault");
  line.textContent = text;
  line.hidden = text === "";
  const input = field.querySelector("input, select");
  if (text === "") input.removeAttribute("aria-invalid");
  else input.setAttribute("aria-invalid", "true");
}

export function fill(select, choices, chosen) {
  const known = choices.includes(chosen) || chosen === "" ? choices : [...choices, chosen];
  if (known.length === select.options.length && known.every((choice, at) => select.options[at].value === choice)) return;
  select.replaceChildren(...known.map((choice) => new Option(choice, choice)));
}

export class Control {
  // changed(state) gets the stream's state after a change.
  constructor(field, stream, changed) {
    this.field = field;
    this.key = field.dataset.key;
    this.stream = stream;
    this.changed = changed;
    this.input = field.querySelector("input, select");
    this.isRange = this.input.type === "range";
    this.shown = "";
    // What a person has set and the service has not taken.
    this.dirty = false;
    this.busy = false;
    this.waiting = false;

    const id = `control-${ids++}`;
    const fault = field.querySelector(".fault");
    this.input.id = id;
    fault.id = `${id}-fault`;
    field.querySelector("label").htmlFor = id;
    this.input.setAttribute("aria-describedby", fault.id);
    this.input.addEventListener("input", () => {
      this.dirty = true;
      this.say();
      // Whoever drags sees what it does.
      if (this.isRange) this.send();
    });
    this.input.addEventListener("change", () => this.send());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.dirty) this.reset();
    });
  }

  value() {
    return this.isRange ? Number(this.input.value) : this.input.value.trim();
  }

  // What the service has. A person's own setting is left alone until it is taken or given up.
  show(value) {
    this.shown = value;
    if (this.dirty || this.busy) return;
    this.put();
  }

  put() {
    const text = this.isRange ? String(Math.round(this.shown * 100) / 100) : this.shown;
    if (this.input.value !== text) this.input.value = text;
    this.say();
  }

  say() {
    const output = this.field.querySelector("output");
    if (output !== null) output.textContent = `${Math.round(this.value() * 100)} %`;
  }

  reset() {
    this.dirty = false;
    showFault(this.field, "");
    this.put();
  }

  // Nothing is no value: what was there stands there again. One request at a time; what is set meanwhile goes next, and only the last of it.
  async send() {
    if (this.value() === "") {
      this.reset();
      return;
    }
    if (this.busy) {
      this.waiting = true;
      return;
    }
    this.busy = true;
    this.field.classList.add("pending");
    do {
      this.waiting = false;
      const { ok, body, error, faults } = await ask("PATCH", pathOf(this.stream), { [this.key]: this.value() });
      this.dirty = !ok;
      showFault(this.field, ok ? "" : faults.join("; ") || error);
      if (ok && !this.waiting) this.changed(body);
    } while (this.waiting);
    this.busy = false;
    this.field.classList.remove("pending");
    if (!this.dirty) this.put();
  }
}
