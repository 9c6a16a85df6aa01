export function render({ model }) {
  const asked = matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    const page = document.documentElement.dataset.theme;
    const lab = document.body.dataset.jpThemeLight;
    model.dark = page ? page === "dark" : lab ? lab === "false" : asked.matches;
  };
  const watch = new MutationObserver(read);
  // A notebook's page loses what is sent before both ends know each other, either way: it asks
  // until Python is heard, and only then says that the widget is there.
  const before = model.heard;
  let pause = 250, timer = null, there = false;
  const ask = () => {
    model.ready += 1;
    timer = setTimeout(ask, pause);
    pause = Math.min(2 * pause, 8000);
  };
  const hear = () => {
    if (there || model.heard === before) return;
    there = true;
    clearTimeout(timer);
    read();
    watch.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
    watch.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    asked.addEventListener("change", read);
    model.shown += 1;
  };
  model.on("heard", hear);
  ask();
  model.on("remove", () => {
    clearTimeout(timer);
    watch.disconnect();
    asked.removeEventListener("change", read);
  });
}
