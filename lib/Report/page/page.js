'use strict';
// Puts the page together for the chosen entry and number of workers.

const state = {entry: 0, workers: 0, level: homeMemory(report.entries[0].programs[0])};

/** `#entry=decode&workers=2&theme=dark`: a place in the page that can be
    linked to. */
function readHash() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const entry = report.entries.findIndex(e => e.name === hash.get('entry'));
  if (entry >= 0) state.entry = entry;
  const programs = report.entries[state.entry].programs;
  const workers = programs.findIndex(p => String(p.workers) === hash.get('workers'));
  state.workers = workers >= 0 ? workers
    : Math.max(programs.findIndex(p => p.measured), -1);
  if (state.workers < 0)
    state.workers = programs.findIndex(
      p => p.workers === report.entries[state.entry].workers);
  if (hash.get('theme')) setTheme(hash.get('theme'));
}
function writeHash() {
  const entry = report.entries[state.entry];
  const hash = new URLSearchParams(location.hash.slice(1));
  hash.set('entry', entry.name);
  hash.set('workers', entry.programs[state.workers].workers);
  history.replaceState(null, '', `#${hash}`);
}

function setTheme(theme) { document.documentElement.dataset.theme = theme; }
setTheme(matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');

/** Everything of a stage is marked while the mouse is on a part of it. */
let pictures = [];
function light(stage) {
  for (const picture of pictures)
    if (picture.lit !== stage) {
      picture.lit = stage;
      picture.paint();
    }
  for (const row of document.querySelectorAll('tr[data-stage]'))
    row.classList.toggle('lit', stage !== undefined && row.dataset.stage === String(stage));
}

function choose(change) {
  Object.assign(state, change);
  const programs = report.entries[state.entry].programs;
  state.workers = Math.min(state.workers, programs.length - 1);
  writeHash();
  render();
}

//--- Head -----------------------------------------------------------------------

function head(entry, program) {
  const bar = h('header', {class: 'top'},
    h('h1', {}, report.name),
    h('span', {class: 'about'}, `${report.producer} -O${report.opt_level}, for ${
      report.machine.summary || report.machine.name} (${report.machine.name})`),
    h('span', {class: 'space'}));
  if (report.entries.length > 1)
    bar.append(segments('entry', report.entries.map((e, i) => [i, e.name]), state.entry,
      i => choose({entry: i})));
  if (entry.programs.length > 1)
    bar.append(segments('workers', entry.programs.map((p, i) =>
      [i, `${p.workers}${p.measured ? ' \u2022' : ''}`]), state.workers, i => choose({workers: i})));
  bar.append(h('button', {type: 'button', class: 'plain', title: 'light or dark', onclick: () => {
    setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
    render();
  }}, '\u25d0'));
  return bar;
}

//--- At a glance ------------------------------------------------------------------

function timeBars(program) {
  const {least, predicted, measured} = program;
  const longest = Math.max(predicted.ns, measured ? measured.ns : 0, least.ns, 1);
  const bar = (name, ns, colour, label, ...more) => [
    h('span', {class: 'name'}, name),
    h('span', {class: 'track'}, h('i', {style: `width: ${100 * ns / longest}%; background: ${colour}`})),
    h('span', {class: 'figure'}, showTime(ns), ' ', label, ...more)];
  return h('div', {class: 'times'},
    bar('least by operations', least.compute_ns, 'var(--faint)', kind('bound', 'bound')),
    bar(`least by bytes of ${least.memory}`, least.memory_ns, 'var(--faint)', kind('bound', 'bound')),
    bar('this schedule', predicted.ns, 'var(--accent)', kind('predicted')),
    measured ? bar('this artifact', measured.ns, 'var(--measured)', kind('measured')) : []);
}

/** What the workers' time goes to, by what bounds each command. */
function timeUse(program) {
  const sums = new Map();
  for (const timeline of readCommands(program))
    for (const command of timeline) {
      const name = boundName(command.bound);
      sums.set(name, (sums.get(name) || 0) + command.to - command.from);
    }
  const stalled = program.predicted.workers.reduce(
    (sum, w) => sum + program.predicted.ns - w.busy_ns, 0);
  if (stalled > 0) sums.set('waiting', stalled);
  const all = [...sums.values()].reduce((a, b) => a + b, 0) || 1;
  const colours = {operations: '#4c78a8', waiting: 'var(--hatch)'};
  report.machine.memories.forEach((m, i) => { colours[m.name] = ['#9ecae9', '#88d27a', '#d8b32a', '#b279a2', '#72b7b2'][i % 5]; });
  const parts = [...sums].filter(([, ns]) => ns / all > 5e-4).sort((a, b) => b[1] - a[1]);
  return [h('h3', {}, 'The workers\u2019 time is bound by ', kind('predicted')),
    h('div', {class: 'stack'}, parts.map(([name, ns]) => h('i', {title: `${name} ${showPercent(ns / all)}`,
      style: `width: ${100 * ns / all}%; background: ${colours[name]}`}))),
    h('div', {class: 'legend'}, parts.map(([name, ns]) => h('span', {},
      h('i', {class: 'swatch', style: `background: ${colours[name]}`}), `${name} ${showPercent(ns / all)}`)))];
}

function byteUse(program) {
  const sum = (of) => report.constants.reduce((n, c) => n + of(c), 0);
  const parts = [
    ['constants', sum(c => c.bytes), '#4c78a8'],
    ['arena', program.arenas.reduce((n, a) => n + (a.bytes || 0), 0), '#f58518'],
    ['scratch', program.scratch_bytes_per_worker * program.workers, '#eeca3b'],
    ['state', report.state_bytes, '#b279a2'],
    ['code', report.stages.reduce((n, s) => n + (s.code_bytes || 0), 0) + (report.timeline_code_bytes || 0), '#54a24b']]
    .filter(([, bytes]) => bytes > 0);
  const all = parts.reduce((n, [, bytes]) => n + bytes, 0) || 1;
  return [h('h3', {}, `Memory of artifact and context: ${showBytes(all)}`),
    h('div', {class: 'stack'}, parts.map(([name, bytes, colour]) => h('i', {title: name,
      style: `width: ${100 * bytes / all}%; background: ${colour}`}))),
    h('div', {class: 'legend'}, parts.map(([name, bytes, colour]) => h('span', {},
      h('i', {class: 'swatch', style: `background: ${colour}`}), `${name} ${showBytes(bytes)}`)))];
}

function glance(entry, program) {
  const {least, predicted, measured} = program;
  const home = homeMemory(program);
  const fact = (value, label, ...more) => h('div', {class: 'fact'},
    h('div', {class: 'value'}, value), h('div', {class: 'label'}, label, ' ', ...more));
  const facts = [
    fact(showTime(predicted.ns), 'per call', kind('predicted'))];
  if (measured) facts.push(
    fact(showTime(measured.ns), `per call, median of ${measured.runs}`, kind('measured')),
    fact(`\u00d7${showRatio(measured.ns / Math.max(predicted.ns, 1))}`, 'measured over predicted'));
  facts.push(fact(showPercent(predicted.share_of_least || 0), 'of the machine\u2019s peak for this program', kind('predicted')));
  if (measured) facts.push(fact(showPercent(measured.share_of_least || 0), 'of that peak', kind('measured')));
  facts.push(
    fact(showFlops(predicted.flops), `${showFlops(least.flops)} of it sums of products`),
    fact(showBytes(predicted.bytes[home]), `through ${report.machine.memories[home].name}, least ${
      showBytes(least.bytes.all)}`, kind('predicted')));
  if (predicted.joules !== undefined) facts.push(fact(showSmall(predicted.joules, 'J'), 'per call', kind('predicted')));
  if (predicted.dollars !== undefined) facts.push(
    fact(`$${(predicted.dollars * 1e6).toPrecision(3)}`, 'per million calls', kind('predicted')));
  const sizes = entry.symbols.map(s => `${s.name} = ${s.value}`).join(', ');
  return h('section', {}, h('h2', {}, 'At a glance'),
    h('p', {class: 'note'}, `Entry ${entry.name} on ${program.workers} ${
      program.workers === 1 ? 'worker' : 'workers'}${sizes ? `, with ${sizes} (${entry.sizes_from})` : ''}.`),
    h('div', {class: 'glance'}, h('div', {}, timeBars(program), timeUse(program)),
      h('div', {}, h('div', {class: 'facts', style: 'margin-top: 6px'}, facts), byteUse(program))));
}

//--- Pictures -------------------------------------------------------------------

function timeSection(program, colours) {
  const total = Math.max(program.predicted.ns, program.measured ? program.measured.ns : 0);
  const window_ = new TimeWindow(total);
  const timelines = new Timelines(window_, program, colours);
  const maps = program.arenas.map((_, i) => new MemoryMap(window_, program, i, colours));
  pictures = [timelines, ...maps];
  for (const picture of pictures) picture.onHover = light;
  const button = (text, title, action) => h('button', {type: 'button', class: 'plain', title, onclick: action}, text);
  const legend = program.stages.filter(s => s.predicted_ns > 0)
    .sort((a, b) => b.predicted_ns - a.predicted_ns).slice(0, 12)
    .map(s => h('span', {}, h('i', {class: 'swatch', style: `background: ${colours.get(s.stage)}`}),
      shortName(report.stages[s.stage])));
  const sum = name => program[name].workers.reduce((n, w) => n + w.busy_ns, 0);
  const idle = name => 1 - sum(name) / (program[name].ns * program.workers || 1);
  return h('section', {}, h('div', {class: 'bar'}, h('h2', {}, 'Timelines'), kind('predicted'),
    program.measured ? kind('measured') : '', h('span', {style: 'flex: 1'}),
    button('\u2212', 'zoom out', () => window_.zoom(1.7)), button('+', 'zoom in', () => window_.zoom(0.6)),
    button('fit', 'show the whole call', () => window_.fit())),
  h('p', {class: 'note'}, 'Hatched: the worker waits',
    program.measured ? ' (measured: or is between commands)' : '',
    `; ${showPercent(Math.max(0, idle('predicted')))} of the workers\u2019 time is predicted to pass so`,
    program.measured ? `, ${showPercent(Math.max(0, idle('measured')))} was measured` : '',
    '. Drag to move, ctrl or shift and wheel to zoom, double click to zoom into a command.'),
  h('div', {class: 'legend'}, legend), timelines.element,
  maps.map((map, i) => [h('h3', {}, `Arena in ${program.arenas[i].memory}: what lies where, when `, kind('predicted')), map.element]));
}

function roofSection(program, colours) {
  const place = h('div');
  const draw = () => place.replaceChildren(drawRoofline(program, colours, state.level, light));
  const choice = h('span');
  const drawChoice = () => choice.replaceChildren(segments('bytes at', report.machine.memories.map((m, i) => [i, m.name]),
    state.level, i => { state.level = i; draw(); drawChoice(); }));
  draw();
  drawChoice();
  return h('section', {}, h('div', {class: 'bar'}, h('h2', {}, 'Roofline'), h('span', {style: 'flex: 1'}), choice),
    h('p', {class: 'note'}, 'Filled: predicted rate of a stage on all workers; ',
      program.measured ? 'ring: measured; ' : '', 'the larger, the more time it takes. Slanted lines: bandwidth; flat lines: rate of instructions.'),
    place);
}

function render() {
  const entry = report.entries[state.entry], program = entry.programs[state.workers];
  const colours = colourStages(program);
  const y = scrollY;
  const page = document.getElementById('page');
  page.replaceChildren(
    head(entry, program),
    glance(entry, program),
    timeSection(program, colours),
    roofSection(program, colours),
    h('section', {}, h('h2', {}, 'Stages'),
      h('p', {class: 'note'}, 'A stage is one fused kernel. Times are means over the workers. \u00d7n beside bytes: how many times the least. Click a row for its plan, the runner-up and its source.'),
      stageTable(program, colours)),
    h('section', {}, h('h2', {}, 'Decisions'),
      h('p', {class: 'note'}, 'What passes decided, with the predictions that decided it; equal ones are counted.'),
      decisionTable()),
    h('section', {}, h('h2', {}, 'Constants'),
      h('p', {class: 'note'}, `${report.constants.length} constants, ${
        showBytes(report.constants.reduce((n, c) => n + c.bytes, 0))}, stored once for all entries. Layouts are chosen at compile time.`),
      constantTable()),
    h('section', {}, h('h2', {}, `Machine: ${report.machine.summary || report.machine.name}`),
      h('p', {class: 'note'}, 'Predictions follow from these figures of the hardware description and from nothing else; each says where it comes from.'),
      machineTables()),
    h('footer', {}, h('p', {}, h('b', {}, 'Predicted'), ': by the simulator from the description. ',
      h('b', {}, 'Measured'), ': by headrace-run --profile',
      program.measured ? ` on ${program.measured.machine}` : '; to see it beside, compile again with --profile-use', '. ',
      h('b', {}, 'Bound'), ': the least that the machine allows, by its fastest instructions for the types, or by constants, inputs, outputs and state once through main memory. ',
      `Schedule ${report.schedule}.`)));
  scrollTo(0, y);
}

readHash();
render();
