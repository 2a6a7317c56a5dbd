'use strict';
// Elements, numbers, colours, and the one tooltip.

const report = JSON.parse(document.getElementById('report').textContent);

/** An element: `h('td', {class: 'text'}, child, 'text')`. */
function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'style') element.style.cssText = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  for (const child of children.flat(Infinity))
    if (child !== null && child !== undefined && child !== false)
      element.append(child instanceof Node ? child : String(child));
  return element;
}

function escapeText(text) {
  return String(text).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);
}

//--- Numbers ------------------------------------------------------------------

function scale(value, units, base) {
  let i = 0;
  while (i + 1 < units.length && Math.abs(value) >= base * 0.9995) {
    value /= base;
    ++i;
  }
  const digits = i === 0 && Number.isInteger(value) ? 0
    : Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[i]}`;
}
const showTime = ns => scale(ns, ['ns', '\u00b5s', 'ms', 's'], 1000);
const showBytes = n => scale(n, ['B', 'kB', 'MB', 'GB', 'TB'], 1000);
const showFlops = n =>
  scale(n, ['FLOP', 'kFLOP', 'MFLOP', 'GFLOP', 'TFLOP', 'PFLOP'], 1000);
const showRate = (n, unit) =>
  scale(n, ['', 'k', 'M', 'G', 'T', 'P'], 1000) + unit;
const showCount = n => Math.round(n).toLocaleString('en-US');
const showPercent = x =>
  `${(100 * x).toFixed(x >= 0.1 || x === 0 ? 0 : 1)} %`;
const showRatio = x => x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
function showSmall(value, unit) {
  if (value >= 1) return `${value.toPrecision(3)} ${unit}`;
  if (value >= 1e-3) return `${(value * 1e3).toPrecision(3)} m${unit}`;
  return `${(value * 1e6).toPrecision(3)} \u00b5${unit}`;
}

/** Round steps of an axis over [from, to], about `count` of them. */
function ticks(from, to, count) {
  const raw = (to - from) / Math.max(1, count);
  if (!(raw > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw);
  const result = [];
  for (let t = Math.ceil(from / step) * step; t <= to + step * 1e-9; t += step)
    result.push(t);
  return result;
}

//--- Stages -------------------------------------------------------------------

const palette = ['#4c78a8', '#f58518', '#54a24b', '#e45756', '#72b7b2', '#b279a2',
  '#d8b32a', '#9d755d', '#ff9da6', '#439894', '#d67195', '#83bcb6'];

/** Colours go to the stages of a program that take longest. */
function colourStages(program) {
  const colours = new Map();
  [...program.stages].sort((a, b) => b.predicted_ns - a.predicted_ns)
    .forEach((s, i) => colours.set(s.stage, palette[i] || '#97a1ad'));
  return colours;
}

/** A stage's name without that of its entry, which is selected anyway. */
function shortName(stage) {
  if (!stage) return 'copy';
  return stage.name.startsWith(stage.entry + '_')
    ? stage.name.slice(stage.entry.length + 1) : stage.name;
}

function placeText(place) {
  if (!place || !place.file) return place && place.node ? `node ${place.node}` : '';
  return `${place.file.split('/').pop()}:${place.line}`;
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The number of the memory where the data is at home. */
function homeMemory(program) {
  const at = report.machine.memories.findIndex(m => m.name === program.least.memory);
  return at >= 0 ? at : report.machine.memories.length - 1;
}

//--- Tooltip ------------------------------------------------------------------

const tip = h('div', {id: 'tip', role: 'status'});
document.body.append(tip);

/** `rows` are [name, text]; empty texts are left out. */
function showTip(event, title, rows) {
  tip.replaceChildren(h('b', {}, title), h('table', {}, rows
    .filter(([, text]) => text !== '' && text !== null && text !== undefined)
    .map(([name, text]) => h('tr', {}, h('td', {}, name), h('td', {}, text)))));
  tip.style.display = 'block';
  const box = tip.getBoundingClientRect();
  let x = event.clientX + 14, y = event.clientY + 14;
  if (x + box.width > innerWidth - 8) x = Math.max(8, event.clientX - box.width - 14);
  if (y + box.height > innerHeight - 8) y = Math.max(8, event.clientY - box.height - 14);
  tip.style.left = `${x}px`;
  tip.style.top = `${y}px`;
}
function hideTip() { tip.style.display = 'none'; }

//--- Choices ------------------------------------------------------------------

/** Buttons of which one is pressed; `choices` are [value, label]. */
function segments(label, choices, current, onChoose) {
  return h('span', {class: 'choice'}, label,
    h('span', {class: 'segments', role: 'group', 'aria-label': label},
      choices.map(([value, text]) => h('button', {
        type: 'button', 'aria-pressed': String(value === current),
        onclick: () => onChoose(value)}, text))));
}

function kind(name, text) {
  return h('span', {class: `kind ${name}`}, text || name);
}
