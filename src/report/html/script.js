(() => {
  "use strict";
  const body = document.body;
  const show = (place) => {
    if (place === null) delete body.dataset.hi;
    else body.dataset.hi = place;
  };

  // Highlighting: a press stays, pointing previews.
  const buttons = [...document.querySelectorAll(".legend button")];
  const pressed = () => buttons.find((b) => b.getAttribute("aria-pressed") === "true")?.dataset.e ?? null;
  for (const button of buttons) {
    button.disabled = false;
    button.addEventListener("click", () => {
      const was = button.getAttribute("aria-pressed") === "true";
      for (const other of buttons) other.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-pressed", String(!was));
      show(pressed());
    });
    button.addEventListener("pointerenter", () => show(button.dataset.e));
    button.addEventListener("pointerleave", () => show(pressed()));
  }

  // Sorting: by number where there is one, else by text; cells without a value come last.
  const sort = (table, column, down) => {
    const rows = table.tBodies[0];
    const key = (row) => {
      const cell = row.cells[column];
      if (cell.classList.contains("n")) return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
      return cell.textContent.trim() || null;
    };
    const sorted = [...rows.rows].map((row) => [key(row), row]);
    sorted.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
      return down ? -order : order;
    });
    rows.append(...sorted.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll(".sortable table")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down);
      });
    });
  }

  // Tooltips repeat what the tables say.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  body.append(tip);
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest?.("[data-tip]");
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.dataset.tip;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 18;
    const top = below + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : below;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${top}px`;
  });
})();
