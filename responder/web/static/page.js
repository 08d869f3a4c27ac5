// The stream says that something changed; the page fetches itself again and takes over what is new. Without this
// script everything still works, by hand.
"use strict";

const main = document.querySelector("main");
const live = document.getElementById("live");
const about = (main.dataset.live || "").split(" ").filter(Boolean);
let due = 0;

function concerns(id) {
  return about.includes("*") || about.includes(id);
}

// What a person has opened, closed or begun to write stays as it is.
function takeOver(fresh) {
  const opened = new Map([...main.querySelectorAll("details[id]")].map((d) => [d.id, d.open]));
  const focused = document.activeElement && main.contains(document.activeElement) ? path(document.activeElement) : null;
  for (const details of fresh.querySelectorAll("details[id]")) {
    if (opened.has(details.id)) details.open = opened.get(details.id);
  }
  for (const field of fields(main)) {
    const same = changed(field) && fields(fresh).find((f) => f.name === field.name && f.form?.action === field.form?.action);
    if (same) same.value = field.value;
  }
  main.replaceChildren(...fresh.childNodes);
  const again = focused && find(focused);
  if (again) again.focus({ preventScroll: true });
}

function fields(within) {
  return [...within.querySelectorAll("input:not([type=hidden]), select")];
}

function changed(field) {
  if (field.matches("input")) return field.value !== field.defaultValue;
  return field.selectedIndex !== Math.max(0, [...field.options].findIndex((o) => o.defaultSelected));
}

function path(element) {
  const steps = [];
  for (let e = element; e !== main; e = e.parentElement) steps.unshift([...e.parentElement.children].indexOf(e));
  return steps;
}

function find(steps) {
  return steps.reduce((e, index) => e && e.children[index], main);
}

function writing() {
  const e = document.activeElement;
  return main.contains(e) && e.matches("input, select") && changed(e);
}

async function refresh() {
  due = 0;
  if (document.hidden || writing()) return later(2000);
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.redirected) return location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("main");
  if (answer.ok && fresh) takeOver(fresh);
}

function later(wait) {
  if (!due) due = setTimeout(() => refresh().catch(() => say("waits for the responder")), wait);
}

function say(word) {
  live.textContent = word;
  live.classList.toggle("on", word === "live");
}

if (about.length && live) {
  const stream = new EventSource("/v1/events");
  stream.onopen = () => say("live");
  stream.onerror = () => say("waits for the responder");
  stream.addEventListener("changed", (event) => concerns(JSON.parse(event.data).incident) && later(200));
  stream.addEventListener("reset", () => later(200));
  setInterval(() => later(0), 60000); // "4 min ago" grows older, and a lost stream is made good
  addEventListener("pagehide", () => stream.close());
}
