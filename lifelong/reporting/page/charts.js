// The charts: which rows each is drawn of, and the library that draws them.

const numberOf = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
const ALL = content.tables.length > content.scenarios.length ? content.tables[0].scenario : null;
let details; // runs and rows, once they are unpacked
const dark = matchMedia("(prefers-color-scheme: dark)");
const paper = matchMedia("print");
const preferred = () => (Object.hasOwn(content.themes, chosen("theme")) ? chosen("theme") : dark.matches ? "dark" : "light");
const theme = () => (paper.matches ? "light" : preferred());
const scenarios = () => (chosen("scenario") === ALL ? content.scenarios : [chosen("scenario")]);

function runOn(scenario) {
  const [strategy, seed] = [chosen("run"), Number(chosen("seed"))];
  return details.runs.find((run) => run.scenario === scenario && run.strategy === strategy && run.seed === seed);
}

const ofShown = (name) => (scenario) =>
  shown.flatMap((strategy) => details[name].filter((row) => row.scenario === scenario && row.strategy === strategy));

/** The rows of each data set that belong to a scenario under the present choices. */
const ROWS = {
  curves: ofShown("curves"),
  forgotten: ofShown("forgotten"),
  matrix: (scenario) => {
    const rows = (runOn(scenario)?.R ?? []).flatMap((row, after) =>
      row.map((accuracy, j) => ({ after, experience: j + 1, accuracy })));
    return rows.some((row) => row.accuracy !== null) ? rows : [];
  },
  stream: (scenario) => rowsOf(runOn(scenario)?.stream ?? {}),
  costs: (scenario) => details.costs.filter((row) => row.scenario === scenario),
  differences: (scenario) => details.differences.filter((row) =>
    row.scenario === scenario && row.metric === chosen("metric") && row.baseline === chosen("baseline")),
};

/**
 * What the library draws. A strategy has the same colour, shape and dash in every chart, even where it did not take part;
 * legends name only those that did. No text holds a line separator, because the library's own expressions would end there.
 * A height is a number, because the library warns of anything else.
 */
function specFor(chart, name, rows) {
  const channels = ["color", "shape", "strokeDash"];
  const there = (field) => [...new Set(rows.map((row) => row[field] ?? null))].filter((value) => value !== null);
  const settled = (key, value) => {
    if (typeof value === "string") return value.replace(/[\u2028\u2029]/g, "\ufffd");
    if (key === "height" && value?.step) return value.step * there("strategy").length;
    if (!channels.includes(key) || !value?.field) return value;
    const legend = value.legend && there(value.field).length ? { ...value.legend, values: there(value.field) } : null;
    const scale = value.field === "strategy" ? { ...value.scale, domain: shown } : value.scale;
    return { ...value, scale, ...("legend" in value ? { legend } : {}) };
  };
  const spec = { ...chart.spec, datasets: { [name]: rows }, config: content.themes[theme()] };
  return JSON.parse(JSON.stringify(spec, settled));
}

function chartOf(section) {
  const charts = content.sections[section.dataset.dataset];
  const choice = form.elements[section.dataset.dataset]?.value;
  return charts.find((chart) => chart.name === choice) ?? charts[0];
}

const views = new Map(); // the charts that a section shows, by its name

async function drawChart(section) {
  const name = section.dataset.dataset;
  const chart = chartOf(section);
  section.querySelector("h2").textContent = chart.title;
  section.querySelector(".reading").textContent = chart.reading.replaceAll(" %", "\u00a0%");
  views.get(name)?.forEach((view) => view.finalize());
  views.set(name, []);
  const titles = name === "differences" && chosen("scenario") === ALL ? [ALL] : scenarios();
  const drawn = titles.map((title) => [title, ROWS[name](title)]);
  const figures = drawn.map(([title, rows]) => figureOf(name, title, rows));
  const grid = section.querySelector(".charts");
  grid.style.minHeight = `${grid.offsetHeight}px`; // so that what is below stays where it is
  grid.replaceChildren(...figures);
  section.querySelector(".formula").textContent = formulaOf(chart, drawn.flatMap(([, rows]) => rows));
  await Promise.all(drawn.map(async ([, rows], i) => {
    if (!rows.length) return;
    const options = { ast: true, renderer: "svg", actions: false, logLevel: 1 };
    views.get(name).push(await vegaEmbed(figures[i].querySelector(".chart"), specFor(chart, name, rows), options));
  }));
  grid.style.minHeight = "";
}

function figureOf(name, title, rows) {
  const about = ["matrix", "stream"].includes(name) ? ` · ${chosen("run")}, seed ${chosen("seed")}` : "";
  const caption = element("figcaption", {}, element("h3", {}, element("bdi", {}, title + about)));
  if (rows.length) return element("figure", {}, caption, element("div", { class: "chart" }), numbersOf(rows));
  return element("figure", {}, caption, element("p", { class: "reading" }, whyEmpty(name, title)));
}

function whyEmpty(name, scenario) {
  if (name === "matrix" || name === "stream") {
    const run = runOn(scenario);
    if (run?.status === "ok") return "This run has no accuracies.";
    return run ? `This run did not finish: ${run.status}. ${run.reason}` : "There is no such run here.";
  }
  if (name === "differences") return "No strategy has this metric here for a seed that the baseline has, too.";
  if (name === "costs") return "There are no results here.";
  return shown.length ? "The ticked strategies have no accuracies here." : "Tick strategies in the ranking.";
}

const formulaOf = (chart, rows) => content.formulas[chart.name] ?? content.formulas[rows[0]?.metric] ?? "";

/** The same numbers as a table, made when somebody opens it. */
function numbersOf(rows) {
  const made = element("details", {}, element("summary", {}, "The same numbers as a table"));
  made.addEventListener("toggle", () => made.children.length > 1 || made.append(scrolled("Numbers", tableOf(rows))));
  return made;
}

const scrolled = (label, table) =>
  element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);

function tableOf(rows) {
  const names = Object.keys(rows[0]).filter((name) => rows.some((row) => row[name] !== null));
  const text = (value) => (typeof value === "number" ? numberOf.format(value) : String(value ?? "-"));
  const head = names.map((name) => element("th", { scope: "col" }, name.replaceAll("_", " ")));
  const body = rows.map((row) => element("tr", {}, ...names.map((name) => element("td", {}, text(row[name])))));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
}
