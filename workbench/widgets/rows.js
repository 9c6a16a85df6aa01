// A table whose rows are chosen with the mouse or the keyboard. Python says what is in it; which
// rows are chosen goes both ways; the order of columns' values is the page's own.
function made(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== "") node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function render({ model, el }) {
  const head = made("tr");
  const body = made("tbody");
  const table = made("table", { role: "grid" }, made("thead", {}, head), body);
  const empty = made("p", { class: "none", role: "status" });
  el.append(made("div", { class: "holder" }, table), empty);
  const known = new Map();
  let sorted = { at: -1, up: true };
  let last = null; // where Shift goes on from

  const order = () => {
    if (sorted.at < 0) return model.rows;
    const value = (row) => row.values[sorted.at];
    const sign = sorted.up ? 1 : -1;
    return [...model.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null); // nothing comes last
      return sign * (x < y ? -1 : x > y ? 1 : 0);
    });
  };

  function columns() {
    table.setAttribute("aria-label", model.label);
    table.setAttribute("aria-multiselectable", String(model.several));
    head.replaceChildren(...model.columns.map((column, at) => {
      const name = made("button", { type: "button" }, column.label);
      name.addEventListener("click", () => {
        const first = !column.right; // figures: the largest first
        const again = sorted.at === at;
        if (again && sorted.up !== first) sorted = { at: -1, up: true };
        else sorted = { at, up: again ? !sorted.up : first };
        columns();
        head.children[at].firstChild.focus();
        rows();
      });
      const how = sorted.at !== at ? "none" : sorted.up ? "ascending" : "descending";
      return made("th", { scope: "col", class: kind(column), "aria-sort": how }, name);
    }));
  }

  const kind = (column) => ["right", "wide", "low"].filter((each) => column[each]).join(" ");

  function cell(column, content) {
    const { text, tone, title } = typeof content === "string" ? { text: content } : content;
    const node = made("td", { class: kind(column), title: title || (column.wide ? text : "") });
    node.append(tone ? made("span", { class: `status ${tone}` }, text) : text);
    return node;
  }

  function rows() {
    const wanted = order();
    const ids = new Set(wanted.map((row) => row.id));
    for (const [id, row] of known) {
      if (!ids.has(id)) { row.node.remove(); known.delete(id); }
    }
    wanted.forEach((row, at) => {
      const content = JSON.stringify(row.cells);
      let one = known.get(row.id);
      if (!one) {
        one = { node: made("tr"), content: "" };
        one.node.dataset.id = row.id;
        known.set(row.id, one);
      }
      if (one.content !== content || one.columns !== model.columns) {
        one.content = content;
        one.columns = model.columns;
        one.node.replaceChildren(...row.cells.map((each, n) => cell(model.columns[n], each)));
      }
      if (body.children[at] !== one.node) body.insertBefore(one.node, body.children[at] || null);
    });
    empty.textContent = wanted.length ? "" : model.placeholder;
    mark();
  }

  function mark() {
    const chosen = new Set(model.selected);
    const all = [...body.children];
    for (const node of all) {
      const is = chosen.has(node.dataset.id);
      node.setAttribute("aria-selected", String(is));
      node.tabIndex = -1;
    }
    const focused = all.find((node) => node.matches(":focus"));
    const reached = focused || all.find((node) => chosen.has(node.dataset.id)) || all[0];
    if (reached) reached.tabIndex = 0;
  }

  function choose(node, { more, range }) {
    const ids = [...body.children].map((each) => each.dataset.id);
    const id = node.dataset.id;
    let chosen = [id];
    if (model.several && range && ids.includes(last)) {
      const [a, b] = [ids.indexOf(last), ids.indexOf(id)].sort((x, y) => x - y);
      chosen = ids.slice(a, b + 1);
    } else {
      last = id;
      if (model.several && more) {
        const before = model.selected.filter((each) => ids.includes(each));
        chosen = before.includes(id) ? before.filter((each) => each !== id) : [...before, id];
      }
    }
    model.selected = chosen;
    mark();
  }

  body.addEventListener("click", (event) => {
    const node = event.target.closest("tr");
    if (!node) return;
    node.focus({ preventScroll: true });
    choose(node, { more: event.ctrlKey || event.metaKey, range: event.shiftKey });
  });
  body.addEventListener("keydown", (event) => {
    const node = event.target.closest("tr");
    const to = { ArrowDown: node.nextElementSibling, ArrowUp: node.previousElementSibling,
      Home: body.firstElementChild, End: body.lastElementChild }[event.key];
    if (to) {
      to.focus();
      mark();
    } else if (event.key === "Enter" || event.key === " ") {
      choose(node, { more: event.ctrlKey || event.metaKey, range: event.shiftKey });
    } else return;
    event.preventDefault();
  });

  model.on("columns", () => { sorted = { at: -1, up: true }; columns(); rows(); });
  model.on("rows", rows);
  model.on("selected", mark);
  columns();
  rows();
}
