// An editor of YAML: a text area over its own coloured copy, with numbers, marks and offers.
// Tab leaves it, as in any other field; Ctrl+Space asks what may stand here.
function made(tag, name = "", text = "") {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text) node.textContent = text;
  return node;
}

function coloured(line) {
  const parts = [];
  const pattern = /(#.*$)|("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')|([A-Za-z_][\w.\/-]*)(?=\s*:(?:\s|$))|(?<=[:,[{]\s*)\b(true|false|null)(?=\s*(?:[,}\]#]|$))|(?<![\w.\/:-])(-?\d[\d_.]*(?:e[+-]?\d+)?)(?![\w\/:-])/g;
  const kinds = ["comment", "", "key", "word", "number"];
  let at = 0;
  for (const match of line.matchAll(pattern)) {
    if (match[1] && match.index && !/\s/.test(line[match.index - 1])) continue;
    const which = match.slice(1).findIndex((each) => each !== undefined);
    parts.push(line.slice(at, match.index), made("span", kinds[which], match[0]));
    at = match.index + match[0].length;
  }
  parts.push(line.slice(at));
  return parts;
}

// Where two texts differ: the part of the first, and what stands there in the second.
function difference(from, to) {
  const most = Math.min(from.length, to.length);
  let start = 0, tail = 0;
  while (start < most && from[start] === to[start]) start++;
  while (tail < most - start && from.at(-1 - tail) === to.at(-1 - tail)) tail++;
  return { start, end: from.length - tail, text: to.slice(start, to.length - tail) };
}

// What was typed and what Python made of the same text, in one; where both changed the same part,
// Python's. With the place of the caret.
function together(base, mine, theirs, caret) {
  const own = difference(base, mine), other = difference(base, theirs);
  if (theirs === base) return { next: mine, caret };
  const apart = own.end < other.start || other.end < own.start;
  if (mine === base || !apart) return { next: theirs, caret: other.start + other.text.length };
  const [first, second] = own.start < other.start ? [own, other] : [other, own];
  const next = base.slice(0, first.start) + first.text + base.slice(first.end, second.start)
    + second.text + base.slice(second.end);
  const grown = other.text.length - (other.end - other.start);
  return { next, caret: first === other ? caret + grown : caret };
}

const MOST_KEPT = 50;

export function render({ model, el }) {
  const editor = made("div", "editor");
  const sheet = made("div", "sheet");
  const gutter = made("div", "gutter");
  const text = made("div", "text");
  const copy = made("pre");
  const area = made("textarea");
  const hint = made("div", "hint");
  const problems = made("ul", "problems");
  gutter.setAttribute("aria-hidden", "true");
  copy.setAttribute("aria-hidden", "true");
  area.setAttribute("spellcheck", "false");
  area.setAttribute("autocapitalize", "off");
  area.setAttribute("wrap", "off");
  area.setAttribute("aria-haspopup", "listbox");
  problems.setAttribute("aria-live", "polite");
  problems.setAttribute("aria-label", "Problems");
  text.append(copy, area);
  sheet.append(gutter, text);
  editor.append(sheet, hint, problems);
  el.append(editor);

  let timer = null, drawn = null, offers = null;
  // The text Python showed last, the one it was told last, and those it was told since it showed
  // one: by their numbers.
  let agreed = "", told = "", number = model.shown.taken || 0;
  const sent = new Map();

  const place = () => {
    const before = area.value.slice(0, area.selectionStart);
    return { line: before.split("\n").length, column: before.length - before.lastIndexOf("\n") - 1 };
  };

  function draw() {
    const marks = new Map();
    for (const issue of model.issues || []) {
      if (issue.line && marks.get(issue.line) !== "wrong") marks.set(issue.line, issue.tone);
    }
    const lines = area.value.split("\n");
    const signed = JSON.stringify([lines, [...marks]]);
    if (signed === drawn) return;
    drawn = signed;
    copy.replaceChildren(...lines.map((line, at) => {
      const node = made("span", marks.get(at + 1) || "");
      node.append(...coloured(line));
      return node;
    }));
    gutter.replaceChildren(...lines.map((_, at) => made("span", marks.get(at + 1) || "", `${at + 1}`)));
  }

  function flush() {
    if (timer) clearTimeout(timer);
    timer = null;
    if (area.value !== told) {
      told = area.value;
      number += 1;
      sent.set(number, told);
      if (sent.size > MOST_KEPT) sent.delete(sent.keys().next().value);
      const on = model.shown.count || 0;
      model.send_msg({ type: "text", value: told, number, on, ...place() });
    }
  }

  function typed() {
    draw();
    close();
    if (timer) clearTimeout(timer);
    timer = setTimeout(flush, 200);
  }

  function insert(value) {
    const { selectionStart: start, selectionEnd: end } = area;
    area.setRangeText(value, start, end, "end");
    typed();
  }

  // Python's text takes the place of ours. What was typed since the text it was made of is put into
  // it, and sent anew: what was sent before was not taken.
  function take() {
    const { text: theirs, taken = 0 } = model.shown;
    const base = sent.get(taken) ?? agreed;
    const mine = area.value;
    sent.clear();
    agreed = told = theirs;
    const { next, caret } = together(base, mine, theirs, area.selectionStart);
    if (next !== theirs && !timer) timer = setTimeout(flush, 200);
    if (next === mine) return draw();
    area.value = next;
    area.setSelectionRange(caret, caret);
    draw();
  }

  function showProblems() {
    draw();
    area.setAttribute("aria-invalid", String((model.issues || []).some((i) => i.tone === "wrong")));
    problems.replaceChildren(...(model.issues || []).map((issue) => {
      const item = made("li", issue.tone);
      if (issue.line) {
        const button = made("button", "place", `line ${issue.line}`);
        button.type = "button";
        button.addEventListener("click", () => goTo(issue.line));
        item.append(button);
      }
      item.append(made("span", "words", [issue.path, issue.message].filter(Boolean).join(": ")));
      if (issue.mend) {
        const button = made("button", "mend", issue.mend.label);
        button.type = "button";
        button.addEventListener("click", () => {
          flush();
          model.send_msg({ type: "mend", path: issue.mend.path, value: issue.mend.value });
        });
        item.append(button);
      }
      return item;
    }));
  }

  function goTo(line) {
    const lines = area.value.split("\n");
    const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    area.focus();
    area.setSelectionRange(start, start + (lines[line - 1] || "").length);
    sheet.scrollTop = Math.max(0, (line - 6) * 20);
    caretMoved();
  }

  function showHint() {
    const found = model.hint || {};
    hint.replaceChildren(made("b", "", found.path || ""), made("span", "", found.words || ""));
    hint.title = found.words || "";
  }

  let asked = null, lastPlace = "";
  function caretMoved() {
    if (asked) clearTimeout(asked);
    asked = setTimeout(() => {
      const here = JSON.stringify(place());
      if (here !== lastPlace) { lastPlace = here; model.send_msg({ type: "caret", ...place() }); }
    }, 150);
  }

  function close() {
    if (offers) offers.node.remove();
    offers = null;
    area.removeAttribute("aria-activedescendant");
    area.removeAttribute("aria-controls");
  }

  function choose(at) {
    offers.at = (at + offers.items.length) % offers.items.length;
    [...offers.node.children].forEach((item, n) => {
      item.setAttribute("aria-selected", String(n === offers.at));
      if (n === offers.at) item.scrollIntoView({ block: "nearest" });
    });
    area.setAttribute("aria-activedescendant", offers.node.children[offers.at].id);
  }

  function accept() {
    const item = offers.items[offers.at];
    const start = area.selectionStart - offers.typed.length;
    area.setRangeText(item.text, start, area.selectionStart, "end");
    close();
    typed();
    flush();
    area.focus();
  }

  function showOffers() {
    close();
    const found = model.offers || {};
    if (!found.items || !found.items.length || !area.matches(":focus")) return;
    const node = made("ul", "offers");
    node.setAttribute("role", "listbox");
    node.setAttribute("aria-label", "What may stand here");
    found.items.forEach((item, at) => {
      const line = made("li", "", item.text.trim().replace(/:$/, ""));
      line.id = `offer-${at}`;
      line.setAttribute("role", "option");
      line.append(made("span", "", item.help || ""));
      line.addEventListener("mousedown", (event) => { event.preventDefault(); choose(at); accept(); });
      node.append(line);
    });
    offers = { node, items: found.items, typed: found.typed || "", at: 0 };
    const here = place();
    text.append(node);
    node.style.top = `${here.line * 20 + 12}px`;
    node.style.left = `${14 + (here.column - offers.typed.length) * 7.8}px`;
    node.id = "offers";
    area.setAttribute("aria-controls", "offers");
    choose(0);
  }

  area.addEventListener("input", typed);
  area.addEventListener("blur", () => { flush(); close(); });
  area.addEventListener("click", caretMoved);
  area.addEventListener("keyup", caretMoved);
  area.addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    let done = true;
    if (offers && event.key === "ArrowDown") choose(offers.at + 1);
    else if (offers && event.key === "ArrowUp") choose(offers.at - 1);
    else if (offers && event.key === "Enter") accept();
    else if (offers && event.key === "Escape") close();
    else if (command && event.key === " ") {
      flush();
      model.send_msg({ type: "offers", ...place() });
    } else if (command && (key === "z" || key === "y")) {
      flush();
      model.send_msg({ type: key === "y" || event.shiftKey ? "redo" : "undo" });
    } else if (command && key === "s") {
      flush();
      model.send_msg({ type: "save" });
    } else if (event.key === "Enter" && !command) {
      const line = area.value.slice(0, area.selectionStart).split("\n").at(-1);
      const indent = line.match(/^\s*(- )?/)[0].replace("-", " ");
      insert("\n" + indent + (/:\s*$/.test(line) ? "  " : ""));
    } else done = false;
    if (done) event.preventDefault();
  });

  const options = () => {
    area.setAttribute("aria-label", model.label);
    area.readOnly = Boolean(model.readonly);
  };
  // The browser asks before a page is left, or a notebook closed, with something unsaved on it.
  const leaving = (event) => {
    if (model.unsaved || area.value !== told) event.preventDefault();
  };
  addEventListener("beforeunload", leaving);
  model.on("remove", () => removeEventListener("beforeunload", leaving));
  model.on("shown", take);
  model.on("issues", showProblems);
  model.on("hint", showHint);
  model.on("offers", showOffers);
  model.on("label", options);
  model.on("readonly", options);
  model.on("msg:custom", (message) => { if (message.line) goTo(message.line); });
  options();
  take();
  showProblems();
  showHint();
}
