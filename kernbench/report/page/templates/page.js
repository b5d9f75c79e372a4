"use strict";
// The page is complete without this. It adds: texts where one points, families switched off and on, tables that are
// sorted and filtered, one kernel at a time, figures as files. What is chosen stands in the address, behind the "#".
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, attributes = {}, text = "") => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.textContent = text;
    return element;
  };
  document.documentElement.classList.add("scripted");

  // what is chosen: #place?hide=siren&sort=table.column.up&find=table.text
  const chosen = { place: "", hide: new Set(), sort: new Map(), find: new Map() };

  function read() {
    const [place, query = ""] = location.hash.slice(1).split("?");
    const fields = new URLSearchParams(query);
    chosen.place = place;
    chosen.hide = new Set(fields.getAll("hide"));
    const sorts = fields.getAll("sort").map((each) => /^(.+)\.(\d+)\.(up|down)$/.exec(each)).filter(Boolean);
    chosen.sort = new Map(sorts.map(([, id, column, way]) => [id, [column, way]]));
    chosen.find = new Map(fields.getAll("find").map((each) => [each.split(".")[0], each.slice(each.indexOf(".") + 1)]));
  }

  function write(step) {
    const fields = new URLSearchParams();
    chosen.hide.forEach((name) => fields.append("hide", name));
    chosen.sort.forEach(([column, way], id) => fields.append("sort", `${id}.${column}.${way}`));
    chosen.find.forEach((text, id) => text && fields.append("find", `${id}.${text}`));
    const query = fields.toString();
    const address = `#${chosen.place}${query ? `?${query}` : ""}`;
    history[step ? "pushState" : "replaceState"](null, "", address);
  }

  // families

  function showFamilies() {
    all("[data-series]").forEach((each) => each.classList.toggle("off", chosen.hide.has(each.dataset.series)));
    all("[data-toggle]").forEach((each) => each.setAttribute("aria-pressed", !chosen.hide.has(each.dataset.toggle)));
  }

  function addLegends() {
    all(".legend").forEach((legend) => {
      const names = all("[data-toggle]", legend).map((each) => each.dataset.toggle);
      const only = (hidden) => () => {
        names.forEach((name) => chosen.hide[hidden ? "add" : "delete"](name));
        showFamilies();
        write();
      };
      if (names.length > 3) {
        legend.append(make("button", { type: "button", onclick: only(false) }, "all"));
        legend.append(make("button", { type: "button", onclick: only(true) }, "none"));
      }
      all("[data-toggle]", legend).forEach((button) => {
        button.addEventListener("click", () => {
          const name = button.dataset.toggle;
          if (!chosen.hide.delete(name)) chosen.hide.add(name);
          showFamilies();
          write();
        });
      });
    });
  }

  // tables

  const FEW = 8; // rows that are seen at once
  const UNITS = { M: 1e6, G: 1e9, T: 1e12 };

  function keyOf(row, column) {
    const cell = row.cells[column];
    if (!cell) return null;
    const text = (cell.dataset.value ?? cell.textContent).trim();
    const found = /^([+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?)(?:\s([MGT])\b)?/.exec(text);
    if (!found) return text === "–" || text === "" ? null : text;
    return parseFloat(found[1].replaceAll(",", "")) * (UNITS[found[2]] ?? 1);
  }

  function compare(a, b) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sortTable(table) {
    const [column, way] = chosen.sort.get(table.id) ?? [];
    const body = table.tBodies[0];
    const rows = [...body.rows];
    rows.forEach((row, place) => (row.dataset.place ??= place));
    const sign = way === "down" ? -1 : 1;
    rows.sort((one, other) => {
      const [a, b] = [keyOf(one, column), keyOf(other, column)];
      // what has no value is last either way
      const found = way ? (a === null || b === null ? compare(a, b) : sign * compare(a, b)) : 0;
      return found || one.dataset.place - other.dataset.place;
    });
    body.append(...rows);
    [...table.tHead.rows[0].cells].forEach((head, place) => {
      const here = way && String(place) === String(column);
      head.setAttribute("aria-sort", here ? (way === "down" ? "descending" : "ascending") : "none");
    });
  }

  function filterTable(table) {
    const words = (chosen.find.get(table.id) ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    [...table.tBodies[0].rows].forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    });
    const field = document.getElementById(`${table.id}-find`);
    if (field && field !== document.activeElement) field.value = chosen.find.get(table.id) ?? "";
  }

  function addTableTools(table) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.tabIndex = 0;
      const turn = () => {
        const [before, way] = chosen.sort.get(table.id) ?? [];
        const next = String(before) !== String(column) ? "down" : way === "down" ? "up" : "";
        if (next) chosen.sort.set(table.id, [column, next]);
        else chosen.sort.delete(table.id);
        sortTable(table);
        write();
      };
      head.addEventListener("click", turn);
      head.addEventListener("keydown", (event) => event.key === "Enter" && turn());
    });
    if (table.tBodies[0].rows.length < FEW) return;
    const field = make("input", { type: "search", id: `${table.id}-find`, placeholder: "filter rows" });
    field.setAttribute("aria-label", "filter rows");
    field.addEventListener("input", () => {
      chosen.find.set(table.id, field.value);
      filterTable(table);
      write();
    });
    const tools = make("div", { className: "tools" });
    tools.append(field);
    table.parentElement.before(tools);
  }

  // texts where one points

  function addTip() {
    const tip = make("div", { id: "tip", hidden: true });
    tip.setAttribute("role", "tooltip");
    document.body.append(tip);
    all("a.mark title").forEach((title) => title.remove());
    const show = (event) => {
      const target = event.target.closest("[data-text]");
      tip.hidden = !target;
      if (!target) return;
      tip.textContent = target.dataset.text;
      const box = target.getBoundingClientRect();
      const left = Math.min(box.right + 8, document.documentElement.clientWidth - tip.offsetWidth - 8);
      tip.style.left = `${Math.max(4, left) + scrollX}px`;
      tip.style.top = `${box.bottom + 6 + scrollY}px`;
    };
    ["pointerover", "focusin"].forEach((name) => document.addEventListener(name, show));
    document.addEventListener("keydown", (event) => event.key === "Escape" && (tip.hidden = true));
  }

  // one kernel at a time

  function addChooser(chooser) {
    const members = all("details", chooser);
    const select = (name, key) => {
      const field = make("select", { onchange: () => pick(key) });
      field.setAttribute("aria-label", name);
      return field;
    };
    const family = select("family", "family");
    const size = select("kernel size", "x");
    const fill = (field, values) => field.replaceChildren(...values.map((each) => make("option", { value: each }, each)));
    const show = (shown) => {
      members.forEach((each) => {
        each.classList.toggle("off", each !== shown);
        if (each === shown) each.open = true;
      });
      family.value = shown.dataset.family;
      fill(size, members.filter((each) => each.dataset.family === family.value).map((each) => each.dataset.x));
      size.value = shown.dataset.x;
    };
    const pick = () => {
      const same = members.filter((each) => each.dataset.family === family.value);
      const shown = same.find((each) => each.dataset.x === size.value) ?? same[0];
      show(shown);
      chosen.place = shown.id;
      write();
    };
    fill(family, [...new Set(members.map((each) => each.dataset.family))]);
    const tools = make("div", { className: "tools" });
    tools.append(family, size);
    chooser.prepend(tools);
    members.forEach((each) => (each.choose = () => show(each)));
    show(members.find((each) => "chosen" in each.dataset) ?? members[0]);
  }

  // figures as files

  function addFiles() {
    all("figure .file").forEach((span) => {
      const figure = span.closest("figure");
      const link = make("a", { download: span.dataset.file, href: "#" }, "SVG");
      link.addEventListener("click", (event) => event.stopPropagation());
      const image = figure.querySelector("img");
      if (image) link.href = image.src;
      else {
        const text = new XMLSerializer().serializeToString(figure.querySelector("svg"));
        link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
      }
      span.replaceChildren(link);
    });
  }

  // places

  // a link leads to its place also where a filter or a legend hides it
  function reveal(target) {
    if (target.hidden) {
      const table = target.closest("table");
      if (!table) return;
      chosen.find.delete(table.id);
      filterTable(table);
    }
    if (chosen.hide.delete(target.dataset.series)) showFamilies();
    write();
  }

  function go() {
    all(".here").forEach((each) => each.classList.remove("here"));
    const target = chosen.place && document.getElementById(chosen.place);
    if (!target) return;
    target.choose?.();
    reveal(target);
    for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
    target.classList.add("here");
    target.scrollIntoView({ block: target.tagName === "TR" ? "center" : "start" });
  }

  function follow(event) {
    const link = event.target.closest('a[href^="#"]');
    if (!link || link.hasAttribute("download")) return;
    event.preventDefault();
    chosen.place = link.getAttribute("href").slice(1);
    write(true);
    go();
  }

  function apply() {
    read();
    showFamilies();
    all("table.sortable").forEach((table) => {
      sortTable(table);
      filterTable(table);
    });
    go();
  }

  addLegends();
  all("table.sortable").forEach(addTableTools);
  all(".chooser").forEach(addChooser);
  addTip();
  addFiles();
  document.addEventListener("click", follow);
  addEventListener("hashchange", apply);
  addEventListener("popstate", apply);
  apply();
})();
