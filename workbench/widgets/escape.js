// Tells of the Escape key while something is asked.
export function render({ model }) {
  const hear = (event) => {
    if (event.key === "Escape" && !event.defaultPrevented && model.on_now) model.send_msg("escape");
  };
  addEventListener("keydown", hear);
  model.on("remove", () => removeEventListener("keydown", hear));
}
