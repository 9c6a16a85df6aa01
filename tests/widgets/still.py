"""Whether the controls of a page stay where they are."""

from contextlib import contextmanager

# Where each control is on the page, looked at once a frame.
WATCH = """
(() => {
  const KINDS = "button, input, select, textarea, summary";
  const found = [];
  const collect = (root) => {
    for (const each of root.querySelectorAll("*")) {
      if (each.matches(KINDS)) found.push(each);
      if (each.shadowRoot) collect(each.shadowRoot);
    }
  };
  const place = (each) => {
    const box = each.getBoundingClientRect();
    if (!each.isConnected || !box.width || !each.checkVisibility()) return null;
    return [Math.round(box.left + scrollX), Math.round(box.top + scrollY)];
  };
  const named = (each) => {
    const label = each.labels && each.labels[0];
    return `${each.localName} '${each.getAttribute("aria-label") || each.textContent.slice(0, 30)
      || (label && label.textContent) || each.placeholder || ""}'`;
  };
  const still = {
    places() {
      found.length = 0;
      collect(document);
      return found.map(place);
    },
    async settled(quiet) {
      for (let since = performance.now(), last = ""; performance.now() - since < quiet;) {
        const now = JSON.stringify(still.places());
        if (now !== last) { last = now; since = performance.now(); }
        await new Promise(requestAnimationFrame);
      }
    },
    // Those that begin above `below` are watched; rows of tables come and go as what they list.
    begin(below) {
      still.places();
      const known = new Map();
      for (const each of found) {
        const at = place(each);
        if (at && at[1] < below && !each.closest("td, th, .offers")) known.set(each, at);
      }
      still.moved = new Map();
      still.on = true;
      const look = () => {
        for (const [each, was] of known) {
          const at = place(each);
          if (at && (Math.abs(at[0] - was[0]) > 1 || Math.abs(at[1] - was[1]) > 1)) {
            const name = named(each);
            if (!still.moved.has(name)) still.moved.set(name, [was, at]);
          }
        }
        if (still.on) requestAnimationFrame(look);
      };
      look();
      return known.size;
    },
    end() {
      still.on = false;
      return [...still.moved];
    },
  };
  window.still = still;
})();
"""
QUIET_MS = 700


def settle(page):
    """Wait until no control has moved, come or gone for a while."""
    if not page.evaluate("Boolean(window.still)"):
        page.evaluate(WATCH)
    page.evaluate(f"still.settled({QUIET_MS})")


@contextmanager
def still(page, *, pressed=None, below=1e6):
    """Fail if a control moves: one of all of them, or of those above and beside what is pressed."""
    settle(page)
    if pressed is not None:
        box = pressed.bounding_box()
        below = box["y"] + box["height"] + page.evaluate("scrollY")
    assert page.evaluate(f"still.begin({below})") > 0
    yield
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    moved = page.evaluate("still.end()")
    assert moved == [], moved
