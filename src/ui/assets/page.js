// Conveniences of the page. Reading works without them.
"use strict";

const said = document.getElementById("said");

// buttons that copy show once they can
function offerCopies(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy]")) offerCopy(button);
}

function offerCopy(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const use = button.querySelector("use");
    const icon = use.getAttribute("href");
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("done");
    use.setAttribute("href", icon.replace("#copy", "#check"));
    said.textContent = "copied";
    setTimeout(() => {
      button.classList.remove("done");
      use.setAttribute("href", icon);
      said.textContent = "";
    }, 2000);
  });
}

offerCopies(document);

// "/" leads to the search
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  document.getElementById("search").focus();
});

// lists show by themselves what arrives, for as long as somebody is there
const live = document.querySelector("main[data-live]");
const patience = 10 * 60 * 1000;
let shown = live?.innerHTML;
let seen = Date.now();
for (const sign of ["pointermove", "keydown", "scroll", "visibilitychange"]) {
  document.addEventListener(sign, () => (seen = Date.now()), { passive: true });
}

function isInUse() {
  const isInside = live.contains(document.activeElement) && document.activeElement !== live;
  return isInside || live.querySelector("input:checked") || String(getSelection());
}

async function renew() {
  if (document.hidden || Date.now() - seen > patience || isInUse()) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main[data-live]");
  if (!fresh || fresh.innerHTML === shown || isInUse()) return;
  shown = fresh.innerHTML;
  const rows = live.querySelectorAll("tbody tr").length;
  live.replaceChildren(...fresh.childNodes);
  offerCopies(live);
  if (live.querySelectorAll("tbody tr").length !== rows) said.textContent = "the list has changed";
}

if (live) setInterval(renew, 5000);

// with shift, all tags between two are chosen
let lastChosen = null;
document.addEventListener("click", (event) => {
  const box = event.target.closest?.(".check input");
  if (!box) return;
  const boxes = [...document.querySelectorAll(".check input")];
  const [from, to] = [boxes.indexOf(lastChosen), boxes.indexOf(box)].sort((a, b) => a - b);
  if (event.shiftKey && from >= 0) {
    for (const between of boxes.slice(from, to + 1)) between.checked = box.checked;
  }
  lastChosen = box;
});
