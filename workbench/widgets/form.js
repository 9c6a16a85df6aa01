// A form from data: groups of fields. Python says what is there, a person's edits go back as
// messages. What a secret's field holds goes in one message when it is stored, and is kept nowhere.
let forms = 0;

function made(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

function told(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// All that is allowed may be long: it is told in the list of problems, and when pointed at.
function shortened(text) {
  return text.length > 80 ? text.replace(/ Allowed: .*$/s, "") : text;
}

function option(value, text, chosen) {
  const node = made("option", { value }, text);
  node.selected = value === chosen;
  return node;
}

export function render({ model, el }) {
  const prefix = `form${++forms}-`;
  const root = made("div", { class: "fields" });
  const groups = new Map();
  const waiting = new Map();
  // What was sent and is not taken yet: by key, the number of the edit.
  const sent = new Map();
  let number = model.seen;
  el.append(root);

  const send = (message) => model.send_msg(message);

  function later(key, value) {
    const before = waiting.get(key);
    if (before) clearTimeout(before.timer);
    const timer = setTimeout(() => now(key), 250);
    waiting.set(key, { value, timer });
  }

  function now(key) {
    const one = waiting.get(key);
    if (!one) return;
    clearTimeout(one.timer);
    waiting.delete(key);
    edit(key, one.value);
  }

  function edit(key, value) {
    number += 1;
    sent.set(key, number);
    send({ type: "edit", key, value, number });
  }

  // What a person entered is newer than what Python knows.
  const newer = (key) => waiting.has(key) || sent.get(key) > model.seen;

  // One control by the field's kind: `node` is what stands in the row, `input` what has the focus,
  // `show` puts a value in.
  function control(field, id) {
    const describe = { id, "aria-describedby": `${id}-help`, "aria-required": field.required };
    if (field.kind === "choice" || field.kind === "flag") {
      const select = made("select", describe);
      select.addEventListener("change", () => {
        edit(field.key, select.value);
      });
      return {
        node: select,
        input: select,
        show: (one) => {
          if (newer(one.key)) return;
          const listed = one.options.map((each) => [each, each]);
          if (!one.required || !one.value) listed.unshift(["", one.placeholder || "choose"]);
          if (one.value && !one.options.includes(one.value)) listed.push([one.value, one.value]);
          const signature = JSON.stringify(listed);
          if (select.dataset.listed !== signature) {
            select.dataset.listed = signature;
            select.replaceChildren(...listed.map(([value, text]) => option(value, text, one.value)));
          }
          select.value = one.value;
        },
      };
    }
    if (field.kind === "many") {
      const box = made("div", { class: "many", role: "group", "aria-labelledby": `${id}-label` });
      const boxes = field.options.map((name, at) => {
        const tick = made("input", { type: "checkbox", id: at ? `${id}-${at}` : id });
        tick.addEventListener("change", () => {
          const value = field.options.filter((_, n) => boxes[n].checked);
          edit(field.key, value);
        });
        box.append(made("label", { class: "tick" }, tick, name));
        return tick;
      });
      return {
        node: box,
        input: boxes[0],
        show: (one) => !newer(one.key) && boxes.forEach((tick, n) => {
          tick.checked = (one.value || []).includes(one.options[n]);
        }),
      };
    }
    const secret = field.kind === "secret";
    const area = field.kind === "area";
    const input = made(area ? "textarea" : "input", {
      ...describe,
      type: area ? null : secret ? "password" : "text",
      rows: area ? 2 : null,
      autocomplete: secret ? "new-password" : "off",
      spellcheck: "false",
    });
    const offers = made("datalist", { id: `${id}-list` });
    const node = made("div", { class: "box" }, input, offers);
    let offered = "[]";
    function offer(suggestions) {
      const signed = JSON.stringify(suggestions || []);
      if (signed === offered) return;
      offered = signed;
      offers.replaceChildren(...suggestions.map((each) => made("option", { value: each })));
      if (suggestions.length) input.setAttribute("list", offers.id);
      else input.removeAttribute("list");
    }
    // What is being typed stays as it is typed; left, the field shows what it was taken for.
    let typing = false;
    if (!secret) {
      input.addEventListener("input", () => {
        typing = true;
        later(field.key, input.value);
      });
      input.addEventListener("change", () => now(field.key));
      input.addEventListener("blur", () => {
        typing = false;
        now(field.key);
        queueMicrotask(show);
      });
    }
    return {
      node,
      input,
      typing: () => typing,
      show: (one) => {
        input.placeholder = one.placeholder || "";
        input.inputMode = one.kind === "number" ? "decimal" : "";
        offer(one.suggestions || []);
        if (!secret && !typing && !newer(one.key) && input.value !== one.value) {
          input.value = one.value;
        }
      },
    };
  }

  // What another control has to be made for: not under the hands of somebody who types.
  const signature = (field) => JSON.stringify([
    field.kind === "number" ? "text" : field.kind, field.label,
    field.kind === "many" ? field.options : null,
  ]);

  function makeRow(field, number) {
    const id = `${prefix}${number}-${field.key.replace(/[^A-Za-z0-9]+/g, "-")}`;
    const part = control(field, id);
    const label = made("label", { for: id, id: `${id}-label` });
    // A long name breaks at its underscores.
    field.label.split(/(?<=_)/).forEach((part) => label.append(part, made("wbr")));
    const help = made("div", { class: "help", id: `${id}-help` });
    const node = made("div", { class: "row" }, label, part.node, help);
    node.dataset.key = field.key;
    return { node, part, help, label, field, signature: signature(field) };
  }

  function showRow(row, field) {
    row.field = field;
    row.part.show(field);
    row.node.classList.toggle("wrong", Boolean(field.error));
    row.node.classList.toggle("set", Boolean(field.changed));
    row.label.classList.toggle("required", Boolean(field.required));
    row.part.input.setAttribute("aria-invalid", field.error ? "true" : "false");
    told(row.help, shortened(field.error || "") || field.help || "");
    row.help.title = field.error || field.help || "";
  }

  function makeGroup(group) {
    const title = made("span", { class: "title" });
    const about = made("span", { class: "about" });
    const count = made("span", { class: "count" });
    const summary = made("summary", {}, title, count, about);
    const rows = made("div", { class: "rows" });
    const actions = made("div", { class: "actions" });
    const node = made("details", { class: `group level${group.level || 0}` }, summary, rows, actions);
    node.dataset.group = group.id;
    node.open = group.open !== false;
    return { node, title, about, count, rows, actions, fields: new Map(), buttons: "" };
  }

  function collected(group) {
    const values = {};
    for (const row of group.fields.values()) {
      if (row.field.kind === "secret") {
        if (row.part.input.value) values[row.field.key] = row.part.input.value;
        row.part.input.value = "";
      }
    }
    return values;
  }

  function showActions(group, actions) {
    const signed = JSON.stringify(actions);
    if (group.buttons === signed) return;
    group.buttons = signed;
    group.actions.replaceChildren(...actions.map((action) => {
      if (action.options) {
        const select = made("select", { "aria-label": action.label });
        select.append(option("", action.label, ""), ...action.options.map((o) => option(o, o, "")));
        select.addEventListener("change", () => {
          if (select.value) send({ type: "action", id: action.id, value: select.value });
          select.value = "";
        });
        return select;
      }
      const button = made("button", { type: "button", class: action.tone || "" }, action.label);
      button.addEventListener("click", () => {
        const message = { type: "action", id: action.id };
        if (action.collect) message.values = collected(group);
        send(message);
      });
      return button;
    }));
  }

  function order(parent, nodes) {
    nodes.forEach((node, at) => {
      // Moved only where it must: a node that is moved loses the focus.
      if (parent.children[at] !== node) parent.insertBefore(node, parent.children[at] || null);
    });
    while (parent.children.length > nodes.length) parent.lastChild.remove();
  }

  function show() {
    const wanted = model.groups || [];
    const known = new Set(wanted.map((group) => group.id));
    for (const [id, group] of groups) {
      if (!known.has(id)) { group.node.remove(); groups.delete(id); }
    }
    wanted.forEach((data, number) => {
      if (!groups.has(data.id)) groups.set(data.id, makeGroup(data));
      const group = groups.get(data.id);
      told(group.title, data.title);
      told(group.about, data.error || data.help || "");
      group.about.classList.toggle("bad", Boolean(data.error));
      const wrong = data.fields.filter((field) => field.error).length;
      told(group.count, wrong ? `${wrong} to mend` : "");
      if (wrong || data.error) group.node.open = true;
      const keys = new Set(data.fields.map((field) => field.key));
      for (const [key, row] of group.fields) {
        if (!keys.has(key)) { row.node.remove(); group.fields.delete(key); }
      }
      for (const field of data.fields) {
        const old = group.fields.get(field.key);
        if (old && old.signature !== signature(field) && !old.part.typing?.()) {
          old.node.remove();
          group.fields.delete(field.key);
        }
        if (!group.fields.has(field.key)) group.fields.set(field.key, makeRow(field, number));
        showRow(group.fields.get(field.key), field);
      }
      order(group.rows, data.fields.map((field) => group.fields.get(field.key).node));
      showActions(group, data.actions || []);
    });
    order(root, wanted.map((group) => groups.get(group.id).node));
    root.inert = Boolean(model.disabled);
    root.classList.toggle("off", Boolean(model.disabled));
  }

  model.on("groups", show);
  model.on("seen", show);
  model.on("disabled", show);
  model.on("msg:custom", (message) => {
    if (message.focus === undefined) return;
    for (const group of groups.values()) {
      const row = group.fields.get(message.focus);
      if (row) { group.node.open = true; row.part.input.focus(); }
    }
  });
  show();
}
