// Links to the views of the page. A click turns the page; opened in another tab, the link is the
// view's own address. The one with the address keeps the browser's history.
export function render({ model, el }) {
  const nav = document.createElement("nav");
  nav.setAttribute("aria-label", model.label);
  el.append(nav);

  const draw = () => {
    const shown = model.items.length > 1;
    const links = model.items.map(({ name, label, address }) => {
      const link = document.createElement("a");
      link.href = `?${address}`;
      link.textContent = label;
      link.dataset.name = name;
      if (name === model.current) link.setAttribute("aria-current", "page");
      return link;
    });
    const held = [...nav.children].findIndex((link) => link === el.getRootNode().activeElement);
    nav.replaceChildren(...(shown ? links : []));
    if (held >= 0 && nav.children[held]) nav.children[held].focus();
    nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  nav.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    model.send_msg({ turn: link.dataset.name });
  });
  model.on(["items", "current"], draw);
  draw();

  const viewOf = (search) => new URLSearchParams(search).get("view");
  const write = () => {
    const wanted = `?${model.address}`;
    if (!model.address || location.search === wanted) return;
    const before = viewOf(location.search);
    const turned = before && before !== viewOf(wanted);
    history[turned ? "pushState" : "replaceState"]({}, "", location.pathname + wanted);
  };
  const back = () => model.send_msg({ address: location.search });
  if (model.keeps) {
    addEventListener("popstate", back);
    model.on("address", write);
    model.on("remove", () => removeEventListener("popstate", back));
    write();
  }
}
