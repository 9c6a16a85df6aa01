// Brings what is shown to what is wanted, changing only what differs: focus, scrolling and a click
// under way survive an update. Rows are told apart by data-key.
function morph(shown, wanted) {
  for (const { name } of [...shown.attributes]) {
    if (!wanted.hasAttribute(name)) shown.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  children(shown, wanted);
}

function children(shown, wanted) {
  const keyed = new Map();
  for (const child of shown.children) {
    if (child.dataset.key) keyed.set(child.dataset.key, child);
  }
  let at = shown.firstChild;
  for (const next of [...wanted.childNodes]) {
    const key = next.dataset && next.dataset.key;
    const known = key && keyed.get(key);
    if (known && known !== at) {
      shown.insertBefore(known, at);
      at = known;
    }
    const alike = at && at.nodeName === next.nodeName && (at.dataset?.key ?? "") === (key ?? "");
    if (!alike) {
      shown.insertBefore(next, at);
      continue;
    }
    if (at.nodeType === Node.TEXT_NODE) {
      if (at.data !== next.data) at.data = next.data;
    } else if (!at.isEqualNode(next)) {
      morph(at, next);
    }
    at = at.nextSibling;
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

export function render({ model }) {
  const box = document.createElement("div");
  const draw = () => {
    const wanted = document.createElement("template");
    wanted.innerHTML = model.content;
    children(box, wanted.content);
  };
  box.addEventListener("click", (event) => {
    const hit = event.target.closest("[data-pick]");
    if (hit) model.send_msg({ pick: hit.dataset.pick });
  });
  model.on("content", draw);
  draw();
  return box;
}
