'use strict';
// Operations per byte against what the machine can do.

/** The roofline of a program at memory number `level`. */
function drawRoofline(program, colours, level, onHover) {
  const machine = report.machine, roofs = program.roofs;
  const W = 1280, H = 430, left = 84, right = 22, top = 16, bottom = 44;
  const points = program.stages.filter(s => s.flops > 0 && s.bytes[level] > 0 && s.predicted_ns > 0)
    .map(s => ({sum: s, x: s.flops / s.bytes[level],
      y: s.flops / (s.predicted_ns / program.workers) * 1e9,
      measured: s.measured_ns ? s.flops / (s.measured_ns / program.workers) * 1e9 : 0}));
  const peak = Math.max(...roofs.atom_flops_per_second, roofs.flops_per_second);
  const slowest = Math.min(...roofs.bytes_per_second.filter(b => b > 0));
  const xs = points.map(p => p.x).concat([roofs.flops_per_second / slowest]);
  // What lies outside is drawn at the edge: little is learnt there.
  const x0 = 2 ** Math.max(-7, Math.floor(Math.log2(Math.min(0.125, ...xs)) - 0.3));
  const x1 = 2 ** Math.min(13, Math.ceil(Math.log2(Math.max(512, ...xs)) + 0.3));
  const y1 = peak * 1.7;
  const lowest = Math.min(x0 * slowest * 2, ...points.map(p => p.y),
    ...points.filter(p => p.measured).map(p => p.measured));
  const y0 = Math.max(lowest / 1.6, peak / 1e6);
  const X = v => left + Math.log(Math.min(Math.max(v, x0), x1) / x0) / Math.log(x1 / x0) * (W - left - right);
  const Y = v => H - bottom - Math.log(v / y0) / Math.log(y1 / y0) * (H - top - bottom);
  const out = [];
  const line = (xa, ya, xb, yb, style) =>
    out.push(`<line x1="${X(xa)}" y1="${Y(ya)}" x2="${X(xb)}" y2="${Y(yb)}" style="${style}"/>`);

  // Grid: decades of operations, powers of four of intensity.
  for (let p = Math.ceil(Math.log10(y0)); 10 ** p <= y1; ++p) {
    line(x0, 10 ** p, x1, 10 ** p, 'stroke: var(--grid)');
    out.push(`<text x="${left - 8}" y="${Y(10 ** p) + 4}" text-anchor="end">${
      escapeText(showRate(10 ** p, 'FLOP/s'))}</text>`);
  }
  for (let p = Math.ceil(Math.log2(x0) / 2) * 2; 2 ** p <= x1; p += 2) {
    line(2 ** p, y0, 2 ** p, y1, 'stroke: var(--grid)');
    out.push(`<text x="${X(2 ** p)}" y="${H - bottom + 16}" text-anchor="middle">${
      p < 0 ? `1/${2 ** -p}` : 2 ** p}</text>`);
  }
  out.push(`<text x="${(left + W - right) / 2}" y="${H - 8}" text-anchor="middle">`
    + `operations per byte at ${escapeText(machine.memories[level].name)}</text>`);

  // Roofs of memories: slanted up to the fastest compute roof.
  const used = [];
  machine.memories.forEach((memory, i) => {
    const rate = roofs.bytes_per_second[i];
    if (!rate) return;
    const from = Math.max(x0, y0 / rate), to = Math.min(x1, peak / rate);
    if (to <= from) return;
    const on = i === level;
    line(from, from * rate, to, to * rate,
      `stroke: var(${on ? '--accent' : '--faint'}); stroke-width: ${on ? 2 : 1}; opacity: ${on ? 1 : 0.6}`);
    const at = Math.max(from * 1.1, Math.min(to / 1.5, from * 1.35));
    const angle = -Math.atan2(Y(at) - Y(at * 2), X(at * 2) - X(at)) * 180 / Math.PI;
    const lx = X(at), ly = Y(at * rate) - 5;
    if (used.some(u => Math.abs(u - ly) < 13)) return;
    used.push(ly);
    out.push(`<text transform="translate(${lx} ${ly}) rotate(${angle})" style="fill: var(${
      on ? '--accent' : '--faint'})">${escapeText(memory.name)} ${escapeText(showRate(rate, 'B/s'))}</text>`);
  });
  // Roofs of atoms: flat, from the slope of the selected memory on.
  const labels = [];
  machine.atoms.forEach((atom, i) => {
    const rate = roofs.atom_flops_per_second[i];
    if (!rate || rate < y0) return;
    const isDefault = rate === roofs.flops_per_second && atom.lhs === 'f32';
    line(Math.max(x0, rate / roofs.bytes_per_second[level]), rate, x1, rate,
      `stroke: var(${isDefault ? '--ink' : '--faint'}); stroke-width: ${isDefault ? 2 : 1}; stroke-dasharray: ${
        isDefault ? 'none' : '5 4'}`);
    let ly = Y(rate) - 5;
    if (labels.some(l => Math.abs(l - ly) < 12)) return;
    labels.push(ly);
    out.push(`<text x="${W - right}" y="${ly}" text-anchor="end" style="fill: var(${
      isDefault ? '--ink' : '--faint'})">${escapeText(`${atom.name}: ${atom.lhs} x ${atom.rhs}, ${
        showRate(rate, 'FLOP/s')}`)}</text>`);
  });

  const longest = Math.max(1, ...points.map(p => p.sum.predicted_ns));
  points.forEach((p, i) => {
    const r = 4 + 9 * Math.sqrt(p.sum.predicted_ns / longest);
    const colour = colours.get(p.sum.stage) || '#97a1ad';
    if (p.measured) {
      out.push(`<line x1="${X(p.x)}" y1="${Y(p.y)}" x2="${X(p.x)}" y2="${Y(p.measured)}" style="stroke: ${colour}; stroke-width: 1.5"/>`);
      out.push(`<circle class="point" data-i="${i}" cx="${X(p.x)}" cy="${Y(p.measured)}" r="${r * 0.75}" style="fill: var(--card); stroke: ${colour}; stroke-width: 2.5"/>`);
    }
    out.push(`<circle class="point" data-i="${i}" cx="${X(p.x)}" cy="${Y(p.y)}" r="${r}" style="fill: ${colour}; fill-opacity: 0.85; stroke: var(--card)"/>`);
  });
  const box = h('div', {class: 'roof'});
  box.innerHTML = `<svg viewBox="0 0 ${W} ${H}" role="img" aria-label="roofline">${out.join('')}</svg>`;
  for (const circle of box.querySelectorAll('.point')) {
    const p = points[Number(circle.dataset.i)];
    circle.addEventListener('pointermove', event => {
      showTip(event, shortName(report.stages[p.sum.stage]), [
        ['intensity', `${showRatio(p.x)} operations per byte`],
        ['predicted', showRate(p.y, 'FLOP/s')],
        ['measured', p.measured ? showRate(p.measured, 'FLOP/s') : ''],
        ['operations', showFlops(p.sum.flops)],
        [`bytes at ${machine.memories[level].name}`, showBytes(p.sum.bytes[level])],
        ['bound by', p.sum.bound]]);
      onHover(p.sum.stage);
    });
    circle.addEventListener('pointerleave', () => { hideTip(); onHover(undefined); });
  }
  return box;
}
