'use strict';
// The two pictures over time: who runs what when, and what lies where in the
// arena. They share one window of time: zooming one zooms the other.

class TimeWindow {
  constructor(total) {
    this.total = Math.max(total, 1);
    this.from = 0;
    this.to = this.total;
    this.listeners = [];
  }
  set(from, to) {
    const length = Math.min(this.total * 1.02, Math.max(to - from, this.total / 5000));
    from = Math.max(-this.total * 0.01, Math.min(from, this.total * 1.01 - length));
    this.from = from;
    this.to = from + length;
    for (const listener of this.listeners) listener();
  }
  zoom(factor, at = (this.from + this.to) / 2) {
    this.set(at - (at - this.from) * factor, at + (this.to - at) * factor);
  }
  pan(by) { this.set(this.from + by, this.to + by); }
  fit() { this.set(0, this.total); }
}

/** A canvas over time. `draw(g, width, x)` paints, `find(x, y)` says what is
    under the mouse: {title, rows, stage, from, to}. */
class TimePicture {
  constructor(window_, height, left) {
    this.window = window_;
    this.height = height;
    this.left = left;
    this.shapes = [];
    this.canvas = h('canvas', {tabindex: 0, style: `height: ${height}px`});
    this.element = h('div', {class: 'picture'}, this.canvas);
    this.listen();
    this.window.listeners.push(() => this.paint());
    new ResizeObserver(() => this.paint()).observe(this.canvas);
  }

  toX(time) {
    const {from, to} = this.window;
    return this.left + (time - from) / (to - from) * (this.width - this.left);
  }
  toTime(x) {
    const {from, to} = this.window;
    return from + (x - this.left) / (this.width - this.left) * (to - from);
  }

  listen() {
    const canvas = this.canvas;
    let drag = null;
    canvas.addEventListener('wheel', event => {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
      event.preventDefault();
      const amount = event.deltaY || event.deltaX;
      this.window.zoom(Math.exp(amount * 0.002), this.toTime(event.offsetX));
    }, {passive: false});
    canvas.addEventListener('pointerdown', event => {
      drag = {x: event.offsetX, from: this.window.from, to: this.window.to};
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointerup', () => { drag = null; });
    canvas.addEventListener('pointermove', event => {
      if (drag) {
        const by = (drag.x - event.offsetX) / (this.width - this.left)
          * (drag.to - drag.from);
        if (Math.abs(drag.x - event.offsetX) > 2)
          this.window.set(drag.from + by, drag.to + by);
        hideTip();
        return;
      }
      const found = this.find(event.offsetX, event.offsetY);
      if (found) showTip(event, found.title, found.rows);
      else hideTip();
      this.onHover && this.onHover(found ? found.stage : undefined);
    });
    canvas.addEventListener('pointerleave', () => {
      hideTip();
      this.onHover && this.onHover(undefined);
    });
    canvas.addEventListener('dblclick', event => {
      const found = this.find(event.offsetX, event.offsetY);
      if (found) {
        const margin = (found.to - found.from) * 0.6;
        this.window.set(found.from - margin, found.to + margin);
      } else {
        this.window.fit();
      }
    });
    canvas.addEventListener('keydown', event => {
      const length = this.window.to - this.window.from;
      const keys = {'+': () => this.window.zoom(0.6), '=': () => this.window.zoom(0.6),
        '-': () => this.window.zoom(1.7), '0': () => this.window.fit(),
        ArrowLeft: () => this.window.pan(-0.1 * length),
        ArrowRight: () => this.window.pan(0.1 * length)};
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  find(x, y) {
    for (let i = this.shapes.length - 1; i >= 0; --i) {
      const s = this.shapes[i];
      if (x >= s.x && x <= s.x + Math.max(s.w, 2) && y >= s.y && y <= s.y + s.h)
        return s.about();
    }
    return null;
  }

  paint() {
    const width = this.canvas.clientWidth, ratio = devicePixelRatio || 1;
    if (!width) return;
    this.width = width;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    const g = this.canvas.getContext('2d');
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, this.height);
    g.font = '11.5px system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif';
    this.shapes = [];
    this.draw(g);
  }

  /** Vertical lines and times along the lower edge. */
  drawAxis(g) {
    const bottom = this.height - 18;
    g.fillStyle = css('--soft');
    g.strokeStyle = css('--grid');
    g.textAlign = 'center';
    g.textBaseline = 'middle';
    g.lineWidth = 1;
    const marks = ticks(this.window.from, this.window.to,
      (this.width - this.left) / 110);
    for (const time of marks) {
      const x = Math.round(this.toX(time)) + 0.5;
      if (x < this.left) continue;
      g.beginPath();
      g.moveTo(x, 0);
      g.lineTo(x, bottom);
      g.stroke();
      if (x < this.width - 20) g.fillText(showTime(time), Math.max(x, this.left + 14), bottom + 9);
    }
  }

  /** A rectangle in the picture's window, with a label if it fits. */
  drawBox(g, from, to, y, height, fill, label, about) {
    let x0 = this.toX(from), x1 = this.toX(to);
    if (x1 < this.left || x0 > this.width) return;
    x0 = Math.max(x0, this.left);
    x1 = Math.min(x1, this.width);
    const w = Math.max(x1 - x0, 0.75);
    g.fillStyle = fill;
    g.fillRect(x0, y, w > 3 ? w - 0.6 : w, height);
    if (label && w > 34 && height >= 11) {
      g.save();
      g.beginPath();
      g.rect(x0, y, w - 3, height);
      g.clip();
      g.fillStyle = '#fff';
      g.textAlign = 'left';
      g.textBaseline = 'middle';
      g.shadowColor = '#0008';
      g.shadowBlur = 2;
      g.fillText(label, x0 + 4, y + height / 2 + 0.5);
      g.restore();
    }
    this.shapes.push({x: x0, y, w, h: height, about});
  }
}

function hatch(g) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 6;
  const t = tile.getContext('2d');
  t.strokeStyle = css('--hatch');
  t.lineWidth = 1.2;
  t.beginPath();
  t.moveTo(-1, 7);
  t.lineTo(7, -1);
  t.stroke();
  return g.createPattern(tile, 'repeat');
}

//--- Timelines ------------------------------------------------------------------

/** Rows of `commands` as objects, by worker. */
function readCommands(program) {
  const {columns, rows} = program.commands;
  const at = Object.fromEntries(columns.map((name, i) => [name, i]));
  const memories = report.machine.memories.map(m => at[`bytes ${m.name}`]);
  const timelines = Array.from({length: program.workers}, () => []);
  for (const row of rows)
    timelines[row[at.worker]].push({
      stage: row[at.stage], iteration: row[at.iteration],
      tiles: [row[at.first_tile], row[at.end_tile]],
      from: row[at.begin_ns], to: row[at.end_ns], bound: row[at.bound],
      flops: row[at.flops], bytes: memories.map(i => row[i]),
      measured: at.measured_begin_ns === undefined ? null
        : [row[at.measured_begin_ns], row[at.measured_end_ns]]});
  return timelines;
}

function boundName(bound) {
  return bound < 0 ? 'operations' : report.machine.memories[bound].name;
}

class Timelines extends TimePicture {
  constructor(window_, program, colours) {
    const measured = Boolean(program.measured);
    const many = program.workers > 8;
    const lane = program.workers > 32 ? 6 : many ? 11 : measured ? 19 : 26;
    const row = lane * (measured ? 2 : 1) + (program.workers > 32 ? 0 : many ? 3 : 10);
    super(window_, program.workers * row + 26, 92);
    Object.assign(this, {program, colours, measured, lane, row, many});
    this.timelines = readCommands(program);
    this.canvas.setAttribute('aria-label', 'timelines of the workers');
  }

  draw(g) {
    this.drawAxis(g);
    const pattern = hatch(g);
    const worker = report.machine.worker.name;
    this.timelines.forEach((commands, w) => {
      const y = 5 + w * this.row;
      g.textBaseline = 'middle';
      g.textAlign = 'left';
      g.fillStyle = css('--ink');
      if (!this.many || w % Math.ceil(14 / this.row) === 0)
        g.fillText(`${worker}[${w}]`, 8, y + this.lane * (this.measured ? 1 : 0.5));
      if (this.measured && !this.many) {
        g.fillStyle = css('--faint');
        g.textAlign = 'right';
        g.fillText('pred.', this.left - 6, y + this.lane / 2);
        g.fillText('meas.', this.left - 6, y + this.lane * 1.5 + 1);
      }
      this.drawLane(g, w, commands, y, pattern, c => [c.from, c.to], false);
      if (this.measured)
        this.drawLane(g, w, commands, y + this.lane + 1, pattern, c => c.measured, true);
    });
    this.drawEnd(g, this.program.predicted.ns, css('--accent'));
    if (this.measured) this.drawEnd(g, this.program.measured.ns, css('--measured'));
  }

  drawEnd(g, time, colour) {
    const x = this.toX(time);
    if (x < this.left) return;
    g.strokeStyle = colour;
    g.setLineDash([4, 3]);
    g.beginPath();
    g.moveTo(x, 0);
    g.lineTo(x, this.height - 18);
    g.stroke();
    g.setLineDash([]);
  }

  drawLane(g, w, commands, y, pattern, when, measured) {
    let last = 0;
    for (const command of commands) {
      const [from, to] = when(command);
      const stage = report.stages[command.stage];
      if (from > last && this.toX(from) - this.toX(last) > 0.5)
        this.drawBox(g, last, from, y, this.lane - 1, pattern, '',
          ((a, b) => () => ({title: measured ? 'between commands' : 'wait', from: a, to: b,
            rows: [['worker', `${report.machine.worker.name}[${w}]`],
              [measured ? 'measured' : 'predicted', showTime(b - a)],
              ['from', showTime(a)]]}))(last, from));
      last = Math.max(last, to);
      if (to <= from) continue;
      const lit = this.lit === undefined || this.lit === command.stage;
      g.globalAlpha = lit ? 1 : 0.3;
      this.drawBox(g, from, to, y, this.lane - 1,
        this.colours.get(command.stage) || '#97a1ad', shortName(stage),
        () => this.about(command, w, measured));
      g.globalAlpha = 1;
    }
  }

  about(command, w, measured) {
    const stage = report.stages[command.stage];
    const [from, to] = measured ? command.measured : [command.from, command.to];
    const bytes = report.machine.memories.map(
      (m, i) => `${m.name} ${showBytes(command.bytes[i])}`).join(', ');
    return {title: shortName(stage), stage: command.stage, from, to, rows: [
      ['worker', `${report.machine.worker.name}[${w}]`],
      ['tiles', `${command.tiles[0]} to ${command.tiles[1] - 1}`],
      ['iteration', command.iteration || ''],
      ['predicted', showTime(command.to - command.from)],
      ['measured', command.measured
        ? showTime(command.measured[1] - command.measured[0]) : ''],
      ['starts at', showTime(from)],
      ['bound by', boundName(command.bound)],
      ['operations', command.flops ? showFlops(command.flops) : ''],
      ['bytes', bytes],
      ['source', stage ? placeText(stage.places[0]) : '']]};
  }
}

//--- Memory ---------------------------------------------------------------------

class MemoryMap extends TimePicture {
  constructor(window_, program, arena, colours) {
    super(window_, 250, 92);
    Object.assign(this, {program, arena, colours});
    this.canvas.setAttribute('aria-label', 'what lies where in the arena over time');
  }

  draw(g) {
    const arena = this.program.arenas[this.arena];
    const bytes = Math.max(arena.bytes || 1, 1);
    const top = 10, bottom = this.height - 24;
    const toY = offset => bottom - offset / bytes * (bottom - top);
    this.drawAxis(g);
    g.textAlign = 'right';
    g.textBaseline = 'middle';
    for (const mark of ticks(0, bytes, 5)) {
      g.fillStyle = css('--soft');
      g.fillText(showBytes(mark), this.left - 8, toY(mark));
      g.strokeStyle = css('--grid');
      g.beginPath();
      g.moveTo(this.left, Math.round(toY(mark)) + 0.5);
      g.lineTo(this.width, Math.round(toY(mark)) + 0.5);
      g.stroke();
    }
    for (const buffer of this.program.buffers) {
      if (buffer.arena !== this.arena || !buffer.lives) continue;
      for (const [slot, from, to, stage] of buffer.lives) {
        const offset = buffer.offset + slot * buffer.stride;
        const y = toY(offset + buffer.bytes), height = Math.max(toY(offset) - y - 0.6, 0.8);
        const lit = this.lit === undefined || this.lit === stage;
        g.globalAlpha = lit ? 0.85 : 0.25;
        const shape = `[${buffer.shape.join(', ')}] ${buffer.type}`;
        this.drawBox(g, from, to, y, height, this.colours.get(stage) || '#97a1ad',
          height > 12 ? `${buffer.name} ${shape}` : '', () => ({
            title: `${buffer.name}${buffer.slots > 1 ? `, slot ${slot}` : ''}`, stage, from, to,
            rows: [['holds', shape], ['bytes', showBytes(buffer.bytes)],
              ['at', `${showCount(offset)} (${showBytes(offset)})`],
              ['lives', `${showTime(from)} to ${showTime(to)}`],
              ['written by', shortName(report.stages[stage])]]}));
        g.globalAlpha = 1;
      }
    }
    this.drawLevel(g, toY(bytes), `arena ${showBytes(arena.bytes)}`, '--ink', []);
    if (arena.least_bytes && arena.least_bytes < arena.bytes)
      this.drawLevel(g, toY(arena.least_bytes), `least ${showBytes(arena.least_bytes)}`,
        '--bad', [5, 4]);
  }

  drawLevel(g, y, text, colour, dash) {
    g.strokeStyle = g.fillStyle = css(colour);
    g.setLineDash(dash);
    g.beginPath();
    g.moveTo(this.left, Math.round(y) + 0.5);
    g.lineTo(this.width, Math.round(y) + 0.5);
    g.stroke();
    g.setLineDash([]);
    g.textAlign = 'right';
    g.textBaseline = 'top';
    g.lineWidth = 4;
    g.strokeStyle = css('--card');
    g.strokeText(text, this.width - 6, y + 3);
    g.lineWidth = 1;
    g.fillText(text, this.width - 6, y + 3);
  }
}
