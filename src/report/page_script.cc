#include "report/page_script.h"

namespace lodestone {

std::string_view PageScript() {
  return R"js("use strict";
(() => {
  const make = (name, attributes) => Object.assign(document.createElement(name), attributes);

  const tip = make("div", {id: "tip", role: "tooltip", hidden: true});
  document.body.append(tip);
  const hide = () => { tip.hidden = true; };
  const show = (mark, at) => {
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const box = mark.getBoundingClientRect(), size = tip.getBoundingClientRect();
    const middle = at ? at.clientX : box.left + box.width / 2, room = document.documentElement.clientWidth;
    const top = at ? at.clientY - 10 : box.top, bottom = at ? at.clientY + 18 : box.bottom;
    tip.style.left = Math.max(8, Math.min(middle - size.width / 2, room - size.width - 8)) + "px";
    tip.style.top = (top - size.height - 8 >= 0 ? top - size.height - 8 : bottom + 8) + "px";
  };

  const marks = [];
  for (const drawing of document.querySelectorAll("svg.plot")) {
    const own = [];
    for (const note of drawing.querySelectorAll(":scope > * > title")) {
      const mark = note.parentElement;
      mark.dataset.tip = note.textContent;
      mark.setAttribute("aria-label", note.textContent);
      mark.setAttribute("role", "img");
      mark.setAttribute("tabindex", own.length ? "-1" : "0");
      note.remove();
      own.push(mark);
    }
    const name = drawing.querySelector(":scope > title");
    if (own.length === 0 || name === null) continue;
    drawing.setAttribute("role", "group");
    drawing.setAttribute("aria-label", name.textContent);
    name.remove();
    drawing.addEventListener("keydown", event => {
      const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
      const seen = own.filter(mark => !mark.classList.contains("faint"));
      if (step === undefined || seen.length === 0) return;
      event.preventDefault();
      const next = seen[(seen.indexOf(event.target) + step + seen.length) % seen.length];
      for (const mark of own) mark.setAttribute("tabindex", mark === next ? "0" : "-1");
      next.focus();
    });
    marks.push(...own);
  }
  const marked = event => event.target instanceof Element ? event.target.closest("[data-tip]") : null;
  let focused = null;
  const rest = () => { if (focused) show(focused, null); else hide(); };
  document.addEventListener("pointerover", event => {
    const mark = marked(event);
    if (mark) show(mark, event); else rest();
  });
  document.addEventListener("focusin", event => { focused = marked(event); rest(); });
  const leave = () => { focused = null; hide(); };
  document.addEventListener("focusout", leave);
  document.addEventListener("keydown", event => { if (event.key === "Escape") leave(); });
  document.addEventListener("scroll", rest, {passive: true, capture: true});

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    if (cell === undefined) return null;
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = cell.textContent.trim();
    return text === "" || text === "–" ? null : text;
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number"
      ? a - b : String(a).localeCompare(String(b), "en", {numeric: true});
  const sort = (table, heading, column) => {
    const before = heading.getAttribute("aria-sort"), first = heading.classList.contains("n");
    const order = (before === null ? first : before === "ascending") ? "descending" : "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const body = table.tBodies[0], sign = order === "ascending" ? 1 : -1;
    const keyed = [...body.rows].map(row => [valueOf(row, column), row]);
    keyed.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b));
    body.append(...keyed.map(([, row]) => row));
  };
  const tables = [...document.querySelectorAll("table.live")];
  for (const table of tables) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = make("button", {type: "button"});
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(table, heading, column));
      heading.append(button);
    });
  }

  if (tables.length === 0) return;
  const form = make("div", {className: "filter"});
  const label = make("label", {textContent: "Filter "});
  const input = make("input", {type: "search", placeholder: "gpu w4a16 -published", spellcheck: false});
  const count = make("output", {});
  label.append(input);
  form.append(label, count);
  const rows = tables.flatMap(table => [...table.tBodies[0].rows]);
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(word => word !== "" && word !== "-");
    const fits = text => words.every(word => word[0] === "-" ? !text.includes(word.slice(1)) : text.includes(word));
    let shown = 0;
    for (const row of rows) {
      row.hidden = !fits(row.textContent.toLowerCase());
      shown += !row.hidden;
    }
    for (const mark of marks) mark.classList.toggle("faint", !fits(mark.dataset.tip.toLowerCase()));
    count.textContent = `${shown} of ${rows.length} rows`;
  };
  input.addEventListener("input", filter);
  filter();
  document.querySelector("main").insertBefore(form, document.querySelector("main > section"));
})();
)js";
}

std::string_view PageScriptHash() { return "sha256-a0bGXkuzsLJMYYsAQ2w1swMH9JWwgZUfutaP+343s40="; }

std::string_view PageScriptStyle() {
  return R"css(#tip{position:fixed;z-index:2;max-width:min(24rem,calc(100vw - 1rem));padding:.45rem .65rem;border-radius:.4rem;pointer-events:none;
background:var(--ink);color:var(--page);font-size:.8125rem;line-height:1.4;white-space:pre-line;overflow-wrap:break-word}
#tip::first-line{font-weight:600}
.plot [tabindex]:focus{outline:none}.plot [tabindex]:focus-visible{stroke:var(--ink);stroke-width:2.5}
.plot .faint{opacity:.12}
.filter{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:.3rem 1rem;align-items:baseline;font-size:.875rem;
margin:1.2rem 0 0;padding:.5rem 0;background:var(--page);border-bottom:1px solid var(--grid)}
.filter label{color:var(--soft)}.filter output{color:var(--soft);font-variant-numeric:tabular-nums}
.filter input{font:inherit;color:inherit;background:transparent;border:1px solid var(--soft);border-radius:.35rem;padding:.15rem .5rem;width:15rem;max-width:60vw}
h2{scroll-margin-top:3.5rem}
th button{font:inherit;color:inherit;background:none;border:0;padding:0;margin:0;text-align:inherit;cursor:pointer}
th button:hover{text-decoration:underline}
th[aria-sort=ascending] button::after{content:" ↑"}th[aria-sort=descending] button::after{content:" ↓"}
button:focus-visible,input:focus-visible,a:focus-visible,summary:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
.long{max-height:85vh;overflow:auto}
.live{font-size:.8125rem}.live thead th{position:sticky;top:0;z-index:1;background:var(--page);box-shadow:inset 0 -1px var(--soft)}
.live tbody th{position:sticky;left:0;background:var(--page);white-space:normal;min-width:8rem;max-width:15rem}
.live td{white-space:nowrap}.live td:last-child:not(.n){min-width:34rem;white-space:normal}
@media (max-width:40rem){.live tbody th{position:static}}
@media print{#tip,.filter{display:none}.long{max-height:none}.live thead th,.live tbody th{position:static}}
)css";
}

}  // namespace lodestone
