// When to draw what: a chart when it comes near, everything when somebody chooses.

const near = new Set();
const watcher = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) {
    if (isIntersecting) near.add(target);
    else near.delete(target);
    if (isIntersecting && stale.delete(target)) drawChart(target);
  }
}, { rootMargin: "400px" });
const sections = [...document.querySelectorAll("[data-dataset]")];
const stale = new Set(sections);

/** Draw what is in sight, and the rest once it comes near. */
function drawAll(everything = false) {
  for (const section of sections) {
    stale.add(section);
    if ((everything || near.has(section)) && stale.delete(section)) drawChart(section);
  }
  drawFailures();
  drawCommands();
}

function drawTheme() {
  document.documentElement.dataset.theme = preferred();
  $("#theme").textContent = preferred() === "dark" ? "Light" : "Dark";
}

/** Show what the form says. */
function draw() {
  for (const mirror of document.querySelectorAll("[data-mirrors]")) mirror.value = chosen(mirror.dataset.mirrors);
  drawTheme();
  drawRanking();
  if (details) drawAll();
}

function choose() {
  remember();
  draw();
}

document.addEventListener("input", ({ target }) => {
  if (target.type === "checkbox") {
    shown = target.checked ? [...shown, target.value] : shown.filter((name) => name !== target.value);
    remember();
    drawAll();
    return;
  }
  if (target.dataset.mirrors) form.elements[target.dataset.mirrors].value = target.value;
  choose();
});
form.addEventListener("submit", (event) => event.preventDefault());
$("#reset").addEventListener("click", () => {
  shown = [...content.shown];
  choose();
});
$("#theme").addEventListener("click", () => {
  form.elements.theme.value = preferred() === "dark" ? "light" : "dark";
  choose();
});
for (const link of document.querySelectorAll("[data-to]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault(); // the address holds the choices, not the place
    const heading = $(`#${link.dataset.to} h2`);
    heading.scrollIntoView();
    heading.focus({ preventScroll: true });
  });
}
dark.addEventListener("change", draw);
paper.addEventListener("change", () => details && drawAll(true));
addEventListener("hashchange", () => {
  recall();
  draw();
});

recall();
draw();
details = await unpacked($("#details").textContent);
drawAll();
sections.forEach((section) => watcher.observe(section));
