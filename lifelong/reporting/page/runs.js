// Single runs: which failed or are missing, and how to make one again.

function drawFailures() {
  const here = (entry) => scenarios().includes(entry.scenario);
  const failed = details.runs.filter((run) => run.status !== "ok" && here(run))
    .map(({ scenario, strategy, seed, status, reason }) => ({ scenario, strategy, seed, status, reason }));
  const missing = content.tables.filter(here).flatMap(({ scenario, rows }) =>
    rows.filter((row) => row.n + row.failures < row.planned).map((row) => ({
      scenario, strategy: row.strategy, seed: null, status: "missing",
      reason: `${row.planned - row.n - row.failures} of ${row.planned} runs have no record` })));
  const impossible = content.tables.filter(here).flatMap((table) => table.impossible)
    .map((reason) => element("li", {}, reason));
  const gaps = [...failed, ...missing];
  const told = gaps.length
    ? scrolled("Failures", tableOf(gaps))
    : element("p", {}, "Every planned run is here, and none failed.");
  const list = impossible.length ? [element("h3", {}, "Impossible"), element("ul", {}, ...impossible)] : [];
  $("#failures .found").replaceChildren(told, ...list);
}

function drawCommands() {
  $("#reproduce .runs").replaceChildren(...scenarios().map((scenario) => {
    const run = runOn(scenario);
    const heading = element("h3", {}, element("bdi", {}, `${scenario} · ${chosen("run")}, seed ${chosen("seed")}`));
    if (!run) return element("div", {}, heading, element("p", { class: "reading" }, "There is no such run here."));
    const facts = { Command: commandOf(run), Key: element("code", {}, run.key), Status: `${run.status} ${run.reason}`.trim(),
      "Made with": details.versions[run.versions] };
    const list = Object.entries(facts).flatMap(([name, fact]) => [element("dt", {}, name), element("dd", {}, fact)]);
    return element("div", {}, heading, element("dl", {}, ...list));
  }));
}

function commandOf(run) {
  if (!run.command) return "There is none: the strategy is not installed here, or has changed since.";
  const code = element("code", { dir: "ltr" }, run.command);
  const button = element("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    getSelection().selectAllChildren(code);
    const copied = await navigator.clipboard?.writeText(run.command).then(() => true, () => false);
    $("#said").textContent = copied ? "Copied." : "Selected: copy it with your keyboard.";
  });
  return element("div", { class: "command" }, code, button);
}
