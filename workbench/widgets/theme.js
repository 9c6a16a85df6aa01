export function render({ model }) {
  const asked = matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    const page = document.documentElement.dataset.theme;
    const lab = document.body.dataset.jpThemeLight;
    model.dark = page ? page === "dark" : lab ? lab === "false" : asked.matches;
  };
  read();
  model.ready += 1;
  const watch = new MutationObserver(read);
  watch.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  watch.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  asked.addEventListener("change", read);
  model.on("remove", () => {
    watch.disconnect();
    asked.removeEventListener("change", read);
  });
}
