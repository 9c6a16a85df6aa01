"use strict";

/* Charts follow the page between light and dark: each colour has its counterpart. */
(() => {
  const night = JSON.parse(document.getElementById("dark-colours").textContent);
  const day = Object.fromEntries(Object.entries(night).map(([light, dark]) => [dark, light]));
  const asked = matchMedia("(prefers-color-scheme: dark)");
  const paint = (dark) => {
    const swap = dark ? night : day;
    for (const doc of window.Bokeh ? Bokeh.documents : []) {
      for (const model of doc.all_models) {
        for (const property of model) {
          if (!property.attr.endsWith("_color")) continue;
          const spec = property.get_value();
          const colour = spec && typeof spec === "object" ? spec.value : spec;
          if (typeof colour !== "string" || !(colour in swap)) continue;
          const value = spec === colour ? swap[colour] : { ...spec, value: swap[colour] };
          model.setv({ [property.attr]: value });
        }
      }
    }
  };
  const wait = () => {
    if (document.querySelectorAll(".chart").length && !(window.Bokeh && Bokeh.documents.length)) {
      return setTimeout(wait, 30);
    }
    if (asked.matches) paint(true);
    document.documentElement.dataset.drawn = "yes";
  };
  wait();
  asked.addEventListener("change", () => paint(asked.matches));
  addEventListener("beforeprint", () => paint(false));
  addEventListener("afterprint", () => paint(asked.matches));
})();
