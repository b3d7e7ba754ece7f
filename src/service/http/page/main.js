// The page: streams as they come and go, whether the daemon is there, and the two questions that it asks.

import { ask, listen, pathOf } from "./api.js";
import { Card } from "./card.js";
import { showFault } from "./controls.js";
import { count, rate } from "./format.js";
import { Previews } from "./previews.js";

const byId = (id) => document.getElementById(id);
const cards = new Map();
const previews = new Previews((name, url) => {
  const card = cards.get(name);
  if (card === undefined) URL.revokeObjectURL(url);
  else card.picture(url);
});
let options = null;

function announce(text) {
  byId("changes").textContent = text;
}

function showState(state) {
  const card = cards.get(state.name);
  if (card === undefined) {
    const added = new Card(state, askToRemove);
    if (options !== null) added.offer(options);
    cards.set(state.name, added);
    byId("streams").append(added.element);
    previews.add(added.element);
  } else {
    if (card.state.up !== state.up) announce(`${state.name} is ${state.up}`);
    card.show(state);
  }
}

// In the service's order; those that are not named are gone.
function showOrder(names) {
  for (const [name, card] of cards) {
    if (names.includes(name)) continue;
    previews.remove(card.element);
    card.element.remove();
    cards.delete(name);
  }
  names.forEach((name, at) => {
    const card = cards.get(name);
    const there = byId("streams").children[at];
    if (card !== undefined && card.element !== there) byId("streams").insertBefore(card.element, there ?? null);
  });
  byId("empty").hidden = names.length > 0;
}

function sumUp(now) {
  const states = [...cards.values()].map((card) => card.state);
  const sum = (key) => states.reduce((total, state) => total + state[key], 0);
  const up = states.filter((state) => state.up === "up").length;
  const down = states.filter((state) => state.up === "down").length;
  const streams = `${count(states.length)} ${states.length === 1 ? "stream" : "streams"}, ${count(up)} up`;
  byId("summary").textContent = `${streams} · ${rate(sum("decoded_fps"))} frames/s · ${rate(sum("explained_fps"))} explained/s`;
  document.title = down > 0 ? `${down} down – gradcast` : "gradcast";
  for (const card of cards.values()) card.tick(now);
  previews.tick(states.filter((state) => state.up === "up").map((state) => state.name));
}

function showService({ ready, healthy, why }) {
  const line = byId("service");
  line.hidden = ready && healthy;
  line.textContent = healthy ? (why ?? "Not ready") : "Something hangs";
}

async function showAway(away) {
  document.body.classList.toggle("is-away", away);
  byId("away").hidden = !away;
  if (away) {
    const time = new Date().toLocaleTimeString("en-GB");
    byId("away").textContent = `The daemon has not answered since ${time}. What is below is what was known then. Trying again…`;
    document.title = "away – gradcast";
    return;
  }
  previews.renew();
  const { ok, body } = await ask("GET", "options");
  if (!ok) return;
  // Another program has another page.
  if (options !== null && options.version !== body.version) location.reload();
  options = body;
  const targets = ["argmax", "hold:0.5", "topk:3", ...options.labels];
  byId("targets").replaceChildren(...targets.map((target) => new Option(target, target)));
  for (const card of cards.values()) card.offer(options);
}

// Adding.

const addForm = byId("add-form");

function showAddFaults(faults) {
  const rest = [];
  const found = { name: [], source: [] };
  for (const fault of faults) {
    const key = Object.keys(found).find((key) => new RegExp(`^[^:]*\\b${key}\\b`).test(fault));
    (key === undefined ? rest : found[key]).push(fault);
  }
  for (const [key, texts] of Object.entries(found)) showFault(addForm.querySelector(`[data-key=${key}]`), texts.join("; "));
  byId("add-fault").textContent = rest.join("; ");
  byId("add-fault").hidden = rest.length === 0;
  addForm.querySelector("[aria-invalid]")?.focus();
}

byId("add").addEventListener("click", () => {
  addForm.reset();
  showAddFaults([]);
  byId("add-dialog").showModal();
  byId("add-name").focus();
});
byId("add-cancel").addEventListener("click", () => byId("add-dialog").close());
addForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("add-go").disabled = true;
  const document = { name: byId("add-name").value.trim(), source: byId("add-source").value.trim() };
  const { ok, status, body, error, faults } = await ask("POST", "streams", document);
  byId("add-go").disabled = false;
  if (ok) {
    showState(body);
    byId("empty").hidden = true;
    byId("add-dialog").close();
    announce(`${body.name} was added`);
  } else if (status === 409) {
    showAddFaults([`name: ${error}`]);
  } else {
    showAddFaults(faults.length > 0 ? faults : [error]);
  }
});

// Removing.

let toRemove = "";

function showRemoveFault(text) {
  byId("remove-fault").textContent = text;
  byId("remove-fault").hidden = text === "";
}

function askToRemove(name) {
  toRemove = name;
  byId("remove-name").textContent = name;
  showRemoveFault("");
  byId("remove-dialog").showModal();
  byId("remove-cancel").focus();
}

byId("remove-cancel").addEventListener("click", () => byId("remove-dialog").close());
byId("remove-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("remove-go").disabled = true;
  const { ok, status, error } = await ask("DELETE", pathOf(toRemove));
  byId("remove-go").disabled = false;
  // Gone already is gone.
  if (ok || status === 404) {
    byId("remove-dialog").close();
    showOrder([...cards.keys()].filter((name) => name !== toRemove));
    announce(`${toRemove} was removed`);
  } else {
    showRemoveFault(error);
  }
});

listen({
  stream: showState,
  streams: showOrder,
  service: showService,
  time: ({ unix_seconds: now }) => sumUp(now),
  away: showAway,
});
