// Conveniences of the page. Reading works without them.
"use strict";

const said = document.getElementById("said");

// buttons that copy show once they can
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
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

// "/" leads to the search
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  document.getElementById("search").focus();
});
