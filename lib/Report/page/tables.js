'use strict';
// Stages, decisions, constants and the machine, as tables.

/** A table that sorts by a click on its head. `columns`: {name, title, text,
    value(row), cell(row)}; `detail(row)` fills a line below that opens. */
function sortedTable(columns, rows, sorted, detail, mark) {
  let by = columns.find(c => c.name === sorted.by), down = sorted.down;
  const open = new Set();
  const body = h('tbody'), head = h('tr');
  function fill() {
    const value = row => by.value(row);
    const order = [...rows].sort((a, b) => {
      const x = value(a), y = value(b);
      const less = typeof x === 'string' ? x.localeCompare(y) : x - y;
      return down ? -less : less;
    });
    body.replaceChildren(...order.flatMap(row => {
      const line = h('tr', {class: detail ? 'main' : '', 'data-stage': mark ? mark(row) : null,
        tabindex: detail ? 0 : null}, columns.map(c =>
        h('td', {class: c.text ? 'text' : ''}, c.cell(row))));
      if (!detail) return [line];
      const toggle = () => { open.has(row) ? open.delete(row) : open.add(row); fill(); };
      line.addEventListener('click', toggle);
      line.addEventListener('keydown', e => { if (e.key === 'Enter') toggle(); });
      return open.has(row) ? [line, h('tr', {class: 'detail'},
        h('td', {colspan: columns.length}, detail(row)))] : [line];
    }));
    head.replaceChildren(...columns.map(c => h('th', {
      class: `sortable ${c.text ? 'text' : ''}`, title: c.title, 'aria-sort':
        c === by ? (down ? 'descending' : 'ascending') : null,
      onclick: () => {
        if (by === c) down = !down;
        else { by = c; down = !c.text; }
        fill();
      }}, c.label || c.name, c === by ? h('span', {class: 'dir'}, down ? ' \u2193' : ' \u2191') : '')));
  }
  fill();
  return h('div', {class: 'scroll'}, h('table', {}, h('thead', {}, head), body));
}

function ratioClass(ratio, near = 0.15) {
  return ratio > 1 + near ? 'over' : ratio < 1 - near ? 'under' : 'near';
}

//--- Stages -------------------------------------------------------------------

function stageTable(program, colours) {
  const total = program.stages.reduce((sum, s) => sum + s.predicted_ns, 0) || 1;
  const measuredTotal = program.stages.reduce((sum, s) => sum + (s.measured_ns || 0), 0) || 1;
  const per = ns => ns / program.workers;
  const of = row => report.stages[row.stage];
  const timeCell = (ns, all, colour) => [showTime(per(ns)), ' ', h('small', {class: 'share-text'}, showPercent(ns / all)),
    h('span', {class: 'share'}, h('i', {style: `width: ${Math.min(100, 100 * ns / all)}%; ${colour}`}))];
  const columns = [
    {name: 'stage', text: true, value: row => of(row).name, cell: row => [
      h('span', {class: 'swatch', style: `background: ${colours.get(row.stage)}`}),
      shortName(of(row)),
      h('small', {class: 'under-name', title: of(row).places.length ? of(row).places[0].text : ''},
        placeText(of(row).places[0]))]},
    {name: 'tiles', title: 'tiles in a call, and runs over all workers', value: row => row.tiles,
      cell: row => [showCount(row.tiles), h('small', {class: 'under-name'}, `${showCount(row.runs)} runs`)]},
    {name: 'operations', title: 'in a call', value: row => row.flops, cell: row => showFlops(row.flops)}];
  report.machine.memories.forEach((memory, i) => {
    const home = i === homeMemory(program);
    columns.push({name: memory.name, label: memory.name, title:
      `bytes that pass through ${memory.name}, and how many times the least that ${
        home ? 'has to come from there' : 'the stage reads and writes'}`,
      value: row => row.bytes[i], cell: row => {
        const least = home ? row.least_main_bytes : row.least_bytes;
        const ratio = row.bytes[i] / least;
        return [showBytes(row.bytes[i]), least > 0 && row.bytes[i] >= least && (home || i === 0)
          ? h('small', {class: `under-name ${ratioClass(ratio)}`}, `\u00d7${showRatio(ratio)} least`) : ''];
      }});
  });
  columns.push(
    {name: 'least', label: 'least', title: 'bytes: every index that it reads or writes, once per execution',
      value: row => row.least_bytes, cell: row => showBytes(row.least_bytes)},
    {name: 'bound', label: 'bound by', text: true, title: 'what the prediction is bound by',
      value: row => row.bound, cell: row => row.bound},
    {name: 'predicted', title: 'predicted time of a call, mean over the workers', value: row => row.predicted_ns,
      cell: row => timeCell(row.predicted_ns, total, '')});
  if (program.measured)
    columns.push(
      {name: 'measured', title: 'measured time of a call, mean over the workers', value: row => row.measured_ns,
        cell: row => timeCell(row.measured_ns, measuredTotal, 'background: var(--measured)')},
      {name: 'ratio', title: 'measured over predicted',
        value: row => row.measured_ns / Math.max(row.predicted_ns, 1), cell: row => {
          const ratio = row.measured_ns / Math.max(row.predicted_ns, 1);
          return h('span', {class: ratioClass(ratio, 0.25)}, `\u00d7${showRatio(ratio)}`);
        }});
  if (report.stages.some(s => s.code_bytes !== undefined))
    columns.push({name: 'code', title: 'bytes of instructions', value: row => of(row).code_bytes || 0,
      cell: row => of(row).code_bytes === undefined ? '' : showBytes(of(row).code_bytes)});
  return sortedTable(columns, program.stages, {by: 'predicted', down: true},
    row => stageDetail(of(row), row), row => row.stage);
}

function stageDetail(stage, sum) {
  const pairs = [];
  const add = (name, ...value) => pairs.push(h('dt', {}, name), h('dd', {}, ...value));
  add('comes from', stage.places.length ? stage.places.map(p => h('span', {class: 'source'},
    placeText(p), ' ', p.text ? h('code', {}, p.text) : '', ' ',
    p.node ? h('small', {}, `node ${p.node}`) : '')) : 'unknown');
  const plan = stage.plan;
  if (plan) {
    add('plan', `tile [${plan.tile.join(', ')}], ${plan.lanes} lanes; `, h('small', {},
      plan.nests.map(n => n.vector < 0 ? 'scalar nest'
        : `nest ${n.rows} x ${n.vectors} vectors`).join(', ')));
    add('chosen at', showTime(plan.predicted_ns), ' ', kind('predicted', 'predicted by the planner'));
    add('runner-up', plan.runner_up || 'none');
  }
  add('grid', `[${stage.grid.join(', ')}] tiles`, stage.scratch_bytes
    ? `, ${showBytes(stage.scratch_bytes)} of scratch per worker` : '');
  if (stage.contractions.length)
    add('sums of products', stage.contractions.map(c =>
      `${c.lhs} x ${c.rhs} -> ${c.sum}: ${c.flops} operations`).join('; '));
  add('least bytes', `${showCount(sum.least_bytes)} in and out, of which ${
    showCount(sum.least_main_bytes)} of constants, inputs, outputs and state`);
  const constants = report.constants.filter(c => c.stages.includes(sum.stage));
  if (constants.length)
    add('constants', `${constants.length}, ${showBytes(constants.reduce((n, c) => n + c.bytes, 0))}`);
  return h('dl', {}, pairs);
}

//--- Decisions ----------------------------------------------------------------

/** The same decision about every layer is one line. */
function groupDecisions() {
  const groups = new Map();
  for (const decision of report.decisions) {
    const key = [decision.pass, decision.text, placeText(decision.place)].join('\n');
    if (groups.has(key)) ++groups.get(key).count;
    else groups.set(key, {...decision, count: 1});
  }
  return [...groups.values()];
}

/** Two predicted times of the same thing, as bars; the shorter one won. */
function versus(figures) {
  const times = figures.filter(f => /^ns\b/.test(f.what));
  if (times.length !== 2) return '';
  const longest = Math.max(...times.map(t => t.value), 1), least = Math.min(...times.map(t => t.value));
  return h('span', {class: 'versus', title: times.map(t => `${showTime(t.value)}${t.what.slice(2)}`).join(', ')},
    times.map(t => h('i', {class: t.value === least ? 'won' : '', style: `width: ${90 * t.value / longest}px`})));
}

function decisionTable() {
  const groups = groupDecisions();
  const body = h('tbody');
  const fill = text => {
    const words = text.toLowerCase();
    const rows = groups.filter(g => !words ||
      `${g.text} ${g.pass} ${placeText(g.place)} ${g.place.node || ''} ${g.place.text || ''}`.toLowerCase().includes(words));
    body.replaceChildren(...rows.map(g => h('tr', {},
      h('td', {class: 'text'}, h('small', {}, g.pass)),
      h('td', {class: 'text wrap'}, g.text, g.count > 1 ? h('small', {}, ` \u00d7${g.count}`) : ''),
      h('td', {class: 'text'}, versus(g.figures)),
      h('td', {class: 'text'}, h('small', {title: g.place.text}, placeText(g.place),
        g.place.node ? ` ${g.place.node}` : '')))));
  };
  fill('');
  return [h('div', {class: 'bar'}, h('input', {type: 'search', placeholder: 'filter decisions',
    'aria-label': 'filter decisions', oninput: e => fill(e.target.value)})),
  h('div', {class: 'scroll', style: 'max-height: 420px; overflow-y: auto'}, h('table', {}, h('thead', {}, h('tr', {},
    ['pass', 'decision', 'predicted', 'place'].map(t => h('th', {class: 'text'}, t)))), body))];
}

//--- Constants ------------------------------------------------------------------

function constantTable() {
  const columns = [
    {name: 'constant', text: true, value: c => c.name, cell: c => c.repacked_from || c.name},
    {name: 'type', text: true, value: c => c.type, cell: c => `${c.type} [${c.shape.join(', ')}]`},
    {name: 'bytes', value: c => c.bytes, cell: c => showBytes(c.bytes)},
    {name: 'layout', text: true, value: c => c.layout || '', cell: c => c.layout || 'as in the program'},
    {name: 'reason', text: true, value: c => c.reason || '', cell: c => h('small', {}, c.reason || '')},
    {name: 'copy', text: true, title: 'whether the original is stored too', value: c => c.copy ? 'a copy' : '',
      cell: c => c.copy ? h('span', {class: 'over'}, 'a copy') : ''},
    {name: 'read by', text: true, value: c => c.stages.length, cell: c => h('small', {},
      c.stages.map(s => shortName(report.stages[s])).join(', '))}];
  const make = rows => sortedTable(columns, rows, {by: 'bytes', down: true});
  const all = [...report.constants].sort((a, b) => b.bytes - a.bytes);
  const shown = 12;
  if (all.length <= shown) return make(all);
  return [make(all.slice(0, shown)), h('details', {}, h('summary', {},
    `the other ${all.length - shown}`), make(all.slice(shown)))];
}

//--- The machine ------------------------------------------------------------------

function figure(value, show) {
  if (!value) return h('span', {class: 'dim'}, 'not given');
  return [show(value.value), h('span', {class: `from ${value.from}`}, value.from)];
}

function machineTables() {
  const machine = report.machine;
  const bytesRate = v => showRate(v, 'B/s');
  const memories = h('table', {}, h('thead', {}, h('tr', {}, ['memory', 'kind', 'size', 'read', 'one worker',
    'write', 'latency', 'energy'].map((t, i) => h('th', {class: i < 2 ? 'text' : ''}, t)))),
  h('tbody', {}, machine.memories.map(m => h('tr', {},
    h('td', {class: 'text'}, m.name, ' ', h('small', {}, m.workers_per_instance > 1
      ? `${m.instances} for ${m.workers_per_instance} workers` : 'per worker')),
    h('td', {class: 'text'}, m.kind), h('td', {}, figure(m.bytes, showBytes)),
    h('td', {}, figure(m.read_bytes_per_second, bytesRate)),
    h('td', {}, figure(m.worker_read_bytes_per_second, bytesRate)),
    h('td', {}, figure(m.write_bytes_per_second, bytesRate)),
    h('td', {}, figure(m.latency_seconds, v => showTime(v * 1e9))),
    h('td', {}, figure(m.joules_per_byte, v => `${(v * 1e12).toPrecision(2)} pJ/B`))))));
  const atoms = h('table', {}, h('thead', {}, h('tr', {}, ['atom', 'types', 'per worker', 'per cycle', 'energy']
    .map((t, i) => h('th', {class: i < 2 ? 'text' : ''}, t)))),
  h('tbody', {}, machine.atoms.map(a => h('tr', {},
    h('td', {class: 'text'}, a.name, ' ', h('small', {}, a.instruction)),
    h('td', {class: 'text'}, `${a.lhs} x ${a.rhs} -> ${a.sum}`),
    h('td', {}, showRate(a.flops_per_second, 'FLOP/s')),
    h('td', {}, figure(a.per_cycle, v => String(v))),
    h('td', {}, figure(a.joules_per_multiply_add, v => `${(v * 1e12).toPrecision(2)} pJ`))))));
  const rest = h('dl', {},
    h('dt', {}, 'workers'), h('dd', {}, `${machine.worker.count} ${machine.worker.name}, ${
      machine.worker.registers} registers of ${machine.worker.register_bits} bits, clock `,
    figure(machine.worker.clock_hz, v => showRate(v, 'Hz'))),
    h('dt', {}, 'waiting for another worker'), h('dd', {}, figure(machine.sync_seconds, v => showTime(v * 1e9))),
    h('dt', {}, 'price'), h('dd', {}, figure(machine.price_per_hour, v => `$${v}/h`)),
    h('dt', {}, 'power'), h('dd', {}, figure(machine.watts, v => `${v} W`)));
  return [rest, h('h3', {}, 'Memories'), h('div', {class: 'scroll'}, memories),
    h('h3', {}, 'Instructions'), h('div', {class: 'scroll'}, atoms)];
}
