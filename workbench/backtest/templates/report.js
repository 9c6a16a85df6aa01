const save = (name, type, text) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};

document.getElementById("save-study").addEventListener("click", (event) => {
  save(event.target.dataset.name, "text/yaml", document.getElementById("study").textContent);
});

/* The trade list: sorted and paged here, so that thousands of trades cost nothing. */
(() => {
  const source = document.getElementById("trade-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const count = data.side.length;
  const page = 25;
  const number = (least, most) => {
    const format = new Intl.NumberFormat("en-US", {
      minimumFractionDigits: least, maximumFractionDigits: most,
    });
    return (value) => format.format(value).replace("-", "\u2212");
  };
  const money = number(2, 2);
  const percent = number(2, 2);
  const price = number(2, 6);
  const quantity = number(0, 8);
  const span = (seconds) => {
    const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
    const at = units.findIndex(([, size]) => seconds >= size);
    if (at < 0) return `${number(0, 3)(seconds)} s`;
    const rest = at < 3 ? Math.floor((seconds % units[at][1]) / units[at + 1][1]) : 0;
    const whole = `${Math.floor(seconds / units[at][1]).toLocaleString("en-US")} ${units[at][0]}`;
    return rest ? `${whole} ${rest} ${units[at + 1][0]}` : whole;
  };
  const several = (name) => new Set(data[name]).size > 1;
  const columns = [
    ["ts_opened", "Opened", String, true],
    ["ts_closed", "Closed", String, true],
    ["instrument", "Instrument", String, true],
    ["side", "Side", (side) => side[0] + side.slice(1).toLowerCase(), true],
    ["quantity", "Quantity", quantity],
    ["avg_open", "Entry", price],
    ["avg_close", "Exit", price],
    ["realized_pnl", several("currency") ? "Profit" : `Profit (${data.currency[0]})`, money],
    ["realized_return", "Return", (value) => `${percent(100 * value)} %`],
    ["commission", "Commission", money],
    ["duration_s", "Duration", span],
  ];
  if (several("currency")) columns.splice(8, 0, ["currency", "Currency", String, true]);

  const table = document.getElementById("trade-list");
  const order = [...Array(count).keys()];
  let first = 0;
  let sorted = "ts_opened";
  let down = false;

  const sort = () => {
    const values = data[sorted];
    const sign = down ? -1 : 1;
    order.sort((a, b) => {
      const [x, y] = [values[a], values[b]];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return x === y ? a - b : x < y ? -sign : sign;
    });
  };
  const draw = () => {
    const rows = order.slice(first, first + page).map((at) => {
      const row = document.createElement("tr");
      for (const [name, , write, text] of columns) {
        const cell = row.insertCell();
        const value = data[name][at];
        const open = name === "ts_closed" && value === null;
        cell.textContent = open ? "still open" : value === null ? "\u2013" : write(value);
        if (text) cell.className = "text";
        if (name === "realized_pnl" || name === "realized_return") {
          cell.className = value > 0 ? "gain" : value < 0 ? "loss" : "";
        }
      }
      return row;
    });
    table.tBodies[0].replaceChildren(...rows);
    const last = Math.min(first + page, count);
    document.getElementById("shown").textContent =
      `${(first + 1).toLocaleString("en-US")}\u2013${last.toLocaleString("en-US")} of ${count.toLocaleString("en-US")}`;
    document.getElementById("previous").disabled = first === 0;
    document.getElementById("next").disabled = last === count;
    for (const head of table.tHead.rows[0].cells) {
      if (head.dataset.name === sorted) {
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
      } else {
        head.removeAttribute("aria-sort");
      }
    }
  };

  const heads = table.tHead.insertRow();
  for (const [name, label, , text] of columns) {
    const head = document.createElement("th");
    const button = document.createElement("button");
    head.scope = "col";
    head.dataset.name = name;
    if (text) head.className = "text";
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () => {
      down = name === sorted ? !down : !text;
      sorted = name;
      first = 0;
      sort();
      draw();
    });
    head.append(button);
    heads.append(head);
  }
  document.getElementById("previous").addEventListener("click", () => {
    first = Math.max(0, first - page);
    draw();
  });
  document.getElementById("next").addEventListener("click", () => {
    first += page;
    draw();
  });
  document.getElementById("save-trades").addEventListener("click", () => {
    const names = Object.keys(data);
    /* A leading = + - @ in a text cell would be a formula to a spreadsheet. */
    const cell = (value) => {
      if (typeof value !== "string") return value ?? "";
      return `"${(/^[=+\-@\t\r]/.test(value) ? "'" : "") + value.replaceAll('"', '""')}"`;
    };
    const lines = [...Array(count).keys()].map((at) => names.map((name) => cell(data[name][at])).join(","));
    save("trades.csv", "text/csv", [names.join(","), ...lines].join("\n") + "\n");
  });
  sort();
  draw();
})();
