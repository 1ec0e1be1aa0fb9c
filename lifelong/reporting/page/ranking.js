// The ranking: one table at a time, sorted and filtered.

/** The columns of a table: each with a heading, the value that it sorts by, and what its cells show. */
function columnsOf(table, range) {
  const [first, second] = Object.keys(table.rows[0]?.ranks ?? {});
  const rank = (metric) => ({
    key: metric === first ? "rank" : `rank:${metric}`, heading: "#", kind: "rank",
    label: `Rank by ${content.metrics[metric].title.toLowerCase()}`,
    value: (row) => row.ranks[metric], cell: (row) => row.ranks[metric] ?? "-",
  });
  const metrics = Object.entries(content.metrics).flatMap(([name, metric]) => [
    ...(name === second ? [rank(name)] : []),
    { key: name, heading: `${metric.title} ${metric.higher_is_better ? "↑" : "↓"}`, kind: "metric",
      descending: metric.higher_is_better, value: (row) => row.metrics[name].mean,
      cell: (row) => interval(row.texts[name], row.metrics[name], range(name)) },
    ...(name === first && table.rows.some((row) => row.interquartile)
      ? [{ key: "interquartile", heading: "Interquartile mean", kind: "metric", descending: metric.higher_is_better,
           value: (row) => row.interquartile?.mean,
           cell: (row) => interval(row.texts.interquartile ?? ["-"], row.interquartile, range("interquartile")) }]
      : []),
  ]);
  return [
    ...(first ? [rank(first)] : []),
    { key: "strategy", heading: "Strategy", kind: "name", value: (row) => row.strategy, cell: nameCell },
    ...metrics,
    { key: "runs", heading: "Runs", kind: "count", value: (row) => row.n / row.planned,
      cell: (row) => element("span", row.n < row.planned ? { class: "warning" } : {}, `${row.n} of ${row.planned}`) },
    { key: "failures", heading: "Failed", kind: "count", value: (row) => row.failures,
      cell: (row) => element("span", row.failures ? { class: "warning" } : {}, `${row.failures}`) },
    { key: "kind", heading: "Kind", kind: "kind", value: (row) => content.kinds[row.strategy],
      cell: (row) => content.kinds[row.strategy] },
  ];
}

function nameCell(row) {
  const box = element("input", { type: "checkbox", value: row.strategy });
  box.checked = shown.includes(row.strategy);
  const [role, few] = [row.role === "contestant" ? "" : row.role, row.few ? "few seeds" : ""];
  const gaps = row.n < row.planned ? `${row.n} of ${row.planned} runs` : ""; // stays in sight beside the name, wherever one has scrolled
  const told = [role, gaps, few].filter(Boolean).join(" · ");
  const name = element("bdi", { title: row.strategy }, row.strategy);
  return element("label", {}, box, element("span", {}, name, told ? element("span", { class: "role" }, told) : null));
}

/** A number with its interval, in words and drawn on the range of its column. */
function interval([mean, ...rest], ends, [low, high]) {
  const made = element("div", {}, mean);
  if (rest.length) made.append(element("span", { class: "interval-text" }, rest.join(" ")));
  if (!rest.some((text) => text.startsWith("[")) || high === low) return made; // a cost has no interval
  const at = (value) => `${(100 * (value - low)) / (high - low)}%`;
  const style = `--low:${at(ends.low)};--high:${at(ends.high)};--mean:${at(ends.mean)}`;
  made.append(element("span", { class: "interval", style, "aria-hidden": "true" }));
  return made;
}

function rangeIn(rows) {
  return (name) => {
    const intervals = rows.map((row) => (name === "interquartile" ? row.interquartile : row.metrics[name]));
    const values = intervals.flatMap((one) => [one?.low, one?.mean, one?.high]).filter((value) => Number.isFinite(value));
    return [Math.min(...values), Math.max(...values)];
  };
}

function sorted(rows, column, descending) {
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  const missing = (row) => (column.value(row) ?? null) === null;
  const there = rows.filter((row) => !missing(row));
  there.sort((a, b) => (descending ? -1 : 1) * compare(column.value(a), column.value(b)));
  return [...there, ...rows.filter(missing)];
}

function headOf(column, by) {
  const title = column.label ? { "aria-label": column.label, title: column.label } : {};
  const button = element("button", { type: "button", "data-sort": column.key, ...title }, column.heading);
  button.addEventListener("click", () => sortBy(column));
  const order = column === by ? chosen("order") : "none";
  return element("th", { scope: "col", class: column.kind, "aria-sort": order }, button);
}

const cellOf = (row, column) => (column.kind === "name"
  ? element("th", { scope: "row" }, column.cell(row))
  : element("td", { class: column.kind }, column.cell(row)));

/** The rows of a table, with what is written in them. */
function rowsIn(table, index) {
  const someHaveEnough = table.rows.some((row) => row.enough); // else the notes say it of all
  return table.rows.map((row, i) => (
    { ...row, texts: content.texts[index][i], few: someHaveEnough && row.rank !== null && !row.enough }));
}

function isWanted(row) {
  return row.strategy.toLowerCase().includes(chosen("name").toLowerCase())
    && (!chosen("kind") || content.kinds[row.strategy] === chosen("kind"));
}

function drawRanking() {
  const index = content.tables.findIndex((table) => table.scenario === chosen("scenario"));
  const table = content.tables[index];
  const rows = rowsIn(table, index);
  const columns = columnsOf(table, rangeIn(rows));
  const by = columns.find((column) => column.key === chosen("sort")) ?? columns[0];
  const left = sorted(rows.filter(isWanted), by, chosen("order") === "descending");
  const head = element("tr", {}, ...columns.map((column) => headOf(column, by)));
  const body = left.map((row) => element("tr", {}, ...columns.map((column) => cellOf(row, column))));
  const focused = document.activeElement?.dataset?.sort;
  $("#table").replaceChildren(
    element("caption", {}, `Ranking: ${table.scenario}`),
    element("thead", {}, head),
    element("tbody", {}, ...body),
  );
  if (focused) $(`[data-sort="${focused}"]`)?.focus();
  $("#count").textContent = left.length < rows.length ? `${left.length} of ${rows.length} strategies` : "";
  $("#notes").replaceChildren(...content.notes[index].map((note) => element("p", { class: "reading" }, note)));
}

function sortBy(column) {
  const again = chosen("sort") === column.key;
  const descending = again ? chosen("order") === "ascending" : Boolean(column.descending);
  form.elements.sort.value = column.key;
  form.elements.order.value = descending ? "descending" : "ascending";
  remember();
  drawRanking();
}
