// What a person has chosen is the state of one form, whose fields stand all over the page; the page's address holds it,
// too. No number is computed here: they are selected, sorted and handed to the plotting library.

const $ = (selector) => document.querySelector(selector);
const content = JSON.parse($("#content").textContent);
const form = $("#view");
const chosen = (name) => form.elements[name].value;

/** An element; strings among its children become text, whatever they hold. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Rows from columns of equal length. */
function rowsOf(columns) {
  const names = Object.keys(columns);
  return (columns[names[0]] ?? []).map((_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
}

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const data = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  for (const name of ["curves", "forgotten", "costs", "differences"]) data[name] = rowsOf(data[name]);
  return data;
}

// --- the state, and the address that holds it -----------------------------------------------------------------------

const defaults = new Map(new FormData(form));
let shown = [...content.shown];

function remember() {
  const told = [...new FormData(form)].filter(([name, value]) => value !== defaults.get(name));
  if (shown.join() !== content.shown.join()) told.push(...(shown.length ? shown : [""]).map((name) => ["show", name]));
  history.replaceState(null, "", `#${new URLSearchParams(told)}`);
}

function recall() {
  const told = new URLSearchParams(location.hash.slice(1));
  for (const [name, initial] of defaults) {
    const field = form.elements[name];
    field.value = told.get(name) ?? initial;
    if (field.value === "") field.value = initial; // a choice that this page does not have
  }
  shown = told.has("show") ? told.getAll("show").filter((name) => Object.hasOwn(content.kinds, name)) : [...content.shown];
}
