//===- ProbeText.cpp - Writes what was measured as a description ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProbeText.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <unistd.h>

using namespace mlir;
using namespace headrace;
using namespace headrace::hw;

namespace {
/// Writes fields, breaking lines before they get too long.
class FieldWriter {
public:
  FieldWriter(llvm::raw_ostream &os, int indent) : os(os), indent(indent) {}

  void open(const Twine &head) {
    std::string text = head.str();
    os.indent(indent) << text << " (";
    column = indent + text.size() + 2;
    first = true;
  }
  void field(const Twine &name, const Twine &value) {
    item((name + " = " + value).str());
  }
  void item(const std::string &text) {
    if (!first)
      os << ',';
    if (column + text.size() + 3 > 80) {
      os << '\n';
      os.indent(indent + 4);
      column = indent + 4;
    } else if (!first) {
      os << ' ';
      ++column;
    }
    os << text;
    column += text.size() + 1;
    first = false;
  }
  /// `name = ["a", "b"]`, broken where needed.
  void list(const Twine &name, ArrayRef<std::string> strings) {
    std::string head = (name + " = [").str();
    for (size_t i = 0; i < strings.size(); ++i) {
      std::string text = (i == 0 ? head : "") + "\"" + strings[i] + "\"" +
                         (i + 1 == strings.size() ? "]" : "");
      item(text);
    }
  }
  void bytes(const Twine &name, int64_t value, StringRef source) {
    static constexpr StringLiteral units[] = {"B", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    for (; unit + 1 < std::size(units) && value % 1024 == 0; ++unit)
      value /= 1024;
    figure(name, double(value), units[unit], source);
  }
  void figure(const Twine &name, double value, StringRef unit,
              StringRef source) {
    field(name, number(value) + " " + unit + (unit.empty() ? "" : " ") +
                    source);
  }
  void figure(const Twine &name, const Figure &value, double factor,
              StringRef unit) {
    if (value)
      figure(name, value.value / factor, unit,
             stringifyProvenance(value.provenance));
  }
  void close(StringRef after = "") { os << ')' << after << '\n'; }

  /// Three significant digits: more would pretend.
  static std::string number(double value) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    double rounded = value;
    if (value != 0 && std::abs(value - std::rint(value)) > 1e-9) {
      double scale = std::pow(10, 2 - std::floor(std::log10(value)));
      rounded = std::rint(value * scale) / scale;
    }
    if (rounded == std::rint(rounded) && std::abs(rounded) < 1e15) {
      stream << int64_t(rounded);
    } else {
      stream << llvm::format("%.6g", rounded);
      size_t exponent = text.find('e');
      if (exponent != std::string::npos &&
          text.find('.') == std::string::npos)
        text.insert(exponent, ".0");
    }
    return text;
  }

private:
  llvm::raw_ostream &os;
  int indent;
  size_t column = 0;
  bool first = true;
};
} // namespace

/// A figure of another machine's description, as it counts here.
static Figure borrow(Figure figure) {
  if (figure.provenance == Provenance::Measured)
    figure.provenance = Provenance::Assumed;
  return figure;
}

static void writeLevel(llvm::raw_ostream &os, int indent,
                       const LevelFigure &level, const Memory *base) {
  FieldWriter writer(os, indent);
  writer.open("hw.memory @" + level.name);
  if (level.main)
    writer.field("kind", "main");
  writer.bytes("bytes", level.bytes, level.bytesSource);
  auto bandwidth = [&](StringRef name, double total, double worker) {
    writer.figure(name, std::max(total, worker) / 1e9, "GB/s", "measured");
  };
  bandwidth("read", level.read, level.workerRead);
  bandwidth("write", level.write, level.workerWrite);
  if (level.main)
    bandwidth("nt_write", level.ntWrite, level.workerNtWrite);
  if (level.sharers > 1) {
    bandwidth("worker_read", 0, level.workerRead);
    bandwidth("worker_write", 0, level.workerWrite);
    if (level.main)
      bandwidth("worker_nt_write", 0, level.workerNtWrite);
  }
  writer.figure("latency", level.latency * 1e9, "ns", "measured");
  writer.field("line", Twine(level.line));
  if (level.ways > 0)
    writer.field("ways", Twine(level.ways));
  if (base)
    writer.figure("energy", borrow(base->joulesPerByte), 1e-12, "pJ/B");
  writer.close();
}

static void writeCosts(llvm::raw_ostream &os, const ProbeFigures &figures,
                       const Costs &base) {
  FieldWriter costs(os, 6);
  costs.open("hw.costs");
  costs.figure("convert", figures.convert, "cycles", "measured");
  costs.figure("shuffle", figures.shuffle, "cycles", "measured");
  // A square takes as many steps as its side has bits.
  costs.figure("transpose",
               figures.shuffle * std::log2(double(figures.registerBits) / 32),
               "cycles", "measured");
  costs.figure("fold", borrow(base.fold), 1, "cycles");
  costs.figure("gather", figures.gather, "cycles", "measured");
  costs.figure("scatter", figures.scatter, "cycles", "measured");
  costs.figure("translations", borrow(base.translations), 1, "");
  costs.figure("page_miss", borrow(base.pageMiss), 1, "cycles");
  costs.figure("evicted", borrow(base.evicted), 1, "cycles");
  costs.figure("held", borrow(base.held), 1, "");
  costs.figure("unhidden", borrow(base.unhidden), 1, "");
  costs.figure("unhidden_memory", borrow(base.unhiddenMemory), 1, "");
  costs.figure("tile", borrow(base.tile), 1e-9, "ns");
  costs.close();
}

static void writeAtom(llvm::raw_ostream &os, const AtomFigure &atom,
                      const ProbeFigures &figures, const Worker &base,
                      StringRef innermost) {
  FieldWriter writer(os, 6);
  writer.open("hw.atom @" + atom.name + " " + atom.shape + " " + atom.types);
  writer.field("instruction", "\"" + atom.instruction + "\"");
  writer.figure("per_cycle", atom.perCycle / figures.clock, "", "measured");
  if (atom.latency < 0)
    writer.figure("latency", figures.fmaLatency, "cycles", "measured");
  else if (atom.latency > 0)
    writer.figure("latency", atom.latency, "cycles", "assumed");
  if (atom.tiles)
    writer.field("operands", "tile_registers");
  writer.field("from", "@" + innermost);
  for (const Atom &known : base.atoms)
    if (known.name == atom.name)
      writer.figure("energy", borrow(known.joulesPerMac), 1e-12, "pJ");
  writer.list("needs", atom.needs);
  writer.close();
}

static void writeWorker(llvm::raw_ostream &os, const ProbeFigures &figures,
                        const Worker &base) {
  FieldWriter worker(os, 4);
  worker.open("hw.worker @core x " + Twine(figures.workers));
  worker.figure("clock", figures.clock / 1e9, "GHz", "measured");
  worker.field("registers", Twine(figures.registers) + " x " +
                                Twine(figures.registerBits) + " bit");
  if (figures.tiles)
    worker.field("tile_registers", "8 x 8192 bit");
  worker.figure("loads", borrow(base.loads), 1, "");
  worker.figure("issue", borrow(base.issue), 1, "");
  if (base.hasBroadcastOperand)
    worker.item("broadcast_operand");
  worker.close(" {");
  std::string innermost;
  for (const LevelFigure &level : llvm::reverse(figures.levels)) {
    innermost = level.name;
    if (level.sharers == 1 && !level.main)
      writeLevel(os, 6, level, base.getLevel(level.name));
  }
  writeCosts(os, figures, base.costs);
  for (const AtomFigure &atom : figures.atoms)
    writeAtom(os, atom, figures, base, innermost);
  os << "    }\n";
}

static void writeSync(llvm::raw_ostream &os, const ProbeFigures &figures,
                      const Sync &base) {
  FieldWriter sync(os, 4);
  sync.open("hw.sync");
  if (figures.spin > 0) {
    sync.figure("cost", figures.spin * 1e9, "ns", "measured");
    sync.figure("wake", figures.wake * 1e6, "us", "measured");
  } else {
    sync.figure("cost", borrow(base.cost), 1e-9, "ns");
    sync.figure("wake", borrow(base.wake), 1e-6, "us");
  }
  sync.field("counter_stride",
             Twine(std::max<int64_t>(64, figures.levels.front().line)));
  sync.close();
}

static void writeFacts(llvm::raw_ostream &os, const ProbeFigures &figures,
                       const CodegenFacts &base) {
  FieldWriter facts(os, 4);
  facts.open("hw.codegen");
  if (!base.ntStoreFence.empty())
    facts.field("nt_store_fence", "\"" + base.ntStoreFence + "\"");
  facts.figure("prefetch_distance", borrow(base.prefetchDistance), 1, "B");
  facts.figure("nt_store_from", borrow(base.ntStoreFrom), 1048576, "MiB");
  facts.figure("denormal", std::max(0.0, std::rint(figures.denormalCycles)),
               "cycles", "measured");
  facts.figure("line_crossing", std::min(1.0, figures.crossing), "",
               "measured");
  facts.field("page", Twine(int64_t(sysconf(_SC_PAGESIZE))));
  std::vector<std::string> flushing;
  for (const std::string &name : base.flushesDenormals)
    for (const AtomFigure &atom : figures.atoms)
      if (atom.name == name)
        flushing.push_back(name);
  facts.list("flushes_denormals", flushing);
  facts.close();
}

std::string hw::describe(const ProbeFigures &figures, const System &base,
                         StringRef baseName, StringRef name) {
  const Device &baseDevice = base.getDevice();
  const Worker &baseWorker = baseDevice.getWorker();
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "// " << name << ": this machine, as hrcc --probe measured it.\n"
     << "// Figures that a program cannot measure are those of " << baseName
     << ".\n";
  os << "hw.system @" << name << " (summary = \"" << figures.workers
     << " workers, probed, nearest to " << baseName << "\") {\n";
  FieldWriter device(os, 2);
  device.open("hw.device @cpu");
  device.field("codegen", baseDevice.codegen);
  if (!baseDevice.cpu.empty())
    device.field("cpu", "\"" + baseDevice.cpu + "\"");
  device.list("features", baseDevice.features);
  device.figure("price", borrow(baseDevice.pricePerHour), 1, "USD/h");
  device.figure("watts", borrow(baseDevice.watts), 1, "W");
  device.close(" {");
  for (const LevelFigure &level : llvm::reverse(figures.levels))
    if (level.sharers > 1 || level.main)
      writeLevel(os, 4, level, baseWorker.getLevel(level.name));
  writeWorker(os, figures, baseWorker);
  writeSync(os, figures, baseDevice.sync);
  writeFacts(os, figures, baseDevice.facts);
  os << "  }\n}\n";
  return text;
}
