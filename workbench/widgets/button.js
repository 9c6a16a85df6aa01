// A button that stays the same element whatever changes about it: a click under way is not lost,
// nor is the focus.
export function render({ model }) {
  const button = document.createElement("button");
  button.type = "button";
  const show = () => {
    button.className = `bk-btn bk-btn-${model.kind}`;
    if (button.textContent !== model.label) button.textContent = model.label;
    button.disabled = model.disabled;
  };
  button.addEventListener("click", () => model.send_msg("click"));
  for (const name of ["label", "kind", "disabled"]) model.on(name, show);
  show();
  return button;
}
