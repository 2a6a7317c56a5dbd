//===- SystemBuilder.cpp - From hw ops to plain structs -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Flattens the recursive description into devices that code is generated for.
// The path from a worker outward gives its memories; the product of the counts
// passed on that path before a memory's body is reached is the number of
// workers that share one instance of it.
//
//===----------------------------------------------------------------------===//

#include "headrace/Dialect/HW/HW.h"
#include "headrace/Hardware/System.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::hw;

static Figure getFigure(std::optional<FigureAttr> attr) {
  if (!attr || !*attr)
    return {};
  switch (attr->getSource()) {
  case Source::Assumed:
    return {attr->getValue(), Provenance::Assumed};
  case Source::Documented:
    return {attr->getValue(), Provenance::Documented};
  case Source::Measured:
    return {attr->getValue(), Provenance::Measured};
  }
  return {};
}

/// Where the description says something.
static void set(Figure &figure, std::optional<FigureAttr> attr) {
  if (attr && *attr)
    figure = getFigure(attr);
}

static Figure orElse(Figure figure, Figure fallback) {
  return figure ? figure : fallback;
}

/// The less certain of the two labels goes with the sum.
static Figure add(Figure a, Figure b, double times = 1) {
  if (!b)
    return a;
  if (!a)
    return {b.value * times, b.provenance};
  return {a.value + b.value * times, std::min(a.provenance, b.provenance)};
}

static std::vector<std::string> getStrings(std::optional<ArrayAttr> attr) {
  std::vector<std::string> strings;
  if (attr && *attr)
    for (StringAttr string : attr->getAsRange<StringAttr>())
      strings.push_back(string.str());
  return strings;
}

static std::string getText(Type type) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  type.print(stream);
  return text;
}

static Memory buildMemory(MemoryOp op) {
  Memory memory;
  memory.name = op.getSymName().str();
  switch (op.getKind().value_or(MemoryKind::Cache)) {
  case MemoryKind::Cache:
    memory.kind = Memory::Kind::Cache;
    break;
  case MemoryKind::Scratchpad:
    memory.kind = Memory::Kind::Scratchpad;
    break;
  case MemoryKind::Main:
    memory.kind = Memory::Kind::Main;
    break;
  }
  memory.bytes = getFigure(op.getBytes());
  memory.read = getFigure(op.getRead());
  memory.write = orElse(getFigure(op.getWrite()), memory.read);
  memory.ntWrite = orElse(getFigure(op.getNtWrite()), memory.write);
  memory.workerRead = orElse(getFigure(op.getWorkerRead()), memory.read);
  memory.workerWrite = orElse(getFigure(op.getWorkerWrite()), memory.write);
  memory.workerNtWrite =
      orElse(getFigure(op.getWorkerNtWrite()), memory.ntWrite);
  memory.latency = getFigure(op.getLatency());
  memory.line = int64_t(op.getLine().value_or(64));
  memory.ways = int64_t(op.getWays().value_or(0));
  memory.joulesPerByte = getFigure(op.getEnergy());
  return memory;
}

static std::optional<Scale> buildScale(std::optional<ScaleAttr> attr) {
  if (!attr || !*attr)
    return std::nullopt;
  return Scale{getText(attr->getType()), attr->getBlock()};
}

static Atom buildAtom(AtomOp op, double clock) {
  Atom atom;
  atom.name = op.getSymName().str();
  atom.instruction = op.getInstruction().str();
  atom.m = int64_t(op.getM());
  atom.n = int64_t(op.getN());
  atom.k = int64_t(op.getK());
  atom.a = getText(op.getA());
  atom.b = getText(op.getB());
  atom.c = getText(op.getC());
  atom.aScale = buildScale(op.getAScale());
  atom.bScale = buildScale(op.getBScale());
  atom.perCycle = getFigure(op.getPerCycle());
  set(atom.latency, op.getLatency());
  switch (op.getOperands().value_or(Place::Registers)) {
  case Place::Registers:
    atom.operands = OperandPlace::Registers;
    break;
  case Place::TileRegisters:
    atom.operands = OperandPlace::TileRegisters;
    break;
  case Place::SharedMemory:
    atom.operands = OperandPlace::SharedMemory;
    break;
  }
  if (std::optional<StringRef> from = op.getFrom())
    atom.from = from->str();
  atom.needs = getStrings(op.getNeeds());
  atom.clock = clock;
  atom.joulesPerMac = getFigure(op.getEnergy());
  return atom;
}

static std::string getDefaultTriple(Codegen codegen) {
  switch (codegen) {
  case Codegen::X86_64:
    return "x86_64-unknown-linux-gnu";
  case Codegen::AArch64:
    return "aarch64-unknown-linux-gnu";
  case Codegen::NVPTX:
    return "nvptx64-nvidia-cuda";
  case Codegen::AMDGPU:
    return "amdgcn-amd-amdhsa";
  }
  return "";
}

/// The memories of one body, from the innermost outward.
static SmallVector<MemoryOp> getMemories(Operation *scope) {
  SmallVector<MemoryOp> memories(
      llvm::make_filter_range(scope->getRegion(0).getOps<MemoryOp>(),
                              [](MemoryOp) { return true; }));
  std::reverse(memories.begin(), memories.end());
  return memories;
}

static int64_t getCount(Operation *op) {
  if (auto device = dyn_cast<DeviceOp>(op))
    return int64_t(device.getCount());
  if (auto worker = dyn_cast<WorkerOp>(op))
    return int64_t(worker.getCount());
  return 1;
}

namespace headrace::hw {
/// Fills a System; a friend of it.
struct SystemBuilder {
  System &system;

  void run(SystemOp op) {
    system.name = op.getSymName().str();
    system.summary = op.getSummary().value_or("").str();
    system.pricePerHour = getFigure(op.getPrice());
    system.watts = getFigure(op.getWatts());
    addTotals(op, 1);
    op.getBody().walk<WalkOrder::PreOrder>([&](Operation *nested) {
      if (auto device = dyn_cast<DeviceOp>(nested);
          device && device.getCodegen())
        addDevice(device);
      else if (auto link = dyn_cast<LinkOp>(nested))
        addLink(link);
    });
    llvm::raw_string_ostream stream(system.text);
    op.print(stream);
    stream << '\n';
  }

  /// Price and power of all devices below `scope`, of which there are `times`.
  /// Descriptions nest as deep as their author wrote; the parser bounds that.
  void addTotals(Operation *scope, double times) {
    for (auto device : scope->getRegion(0).getOps<DeviceOp>()) {
      double count = times * double(device.getCount());
      system.pricePerHour =
          add(system.pricePerHour, getFigure(device.getPrice()), count);
      system.watts = add(system.watts, getFigure(device.getWatts()), count);
      addTotals(device, count);
    }
  }

  void addDevice(DeviceOp op) {
    Device device;
    device.name = op.getSymName().str();
    device.codegen = stringifyCodegen(*op.getCodegen()).str();
    device.triple = op.getTriple().value_or("").str();
    if (device.triple.empty())
      device.triple = getDefaultTriple(*op.getCodegen());
    device.cpu = op.getCpu().value_or("").str();
    device.features = getStrings(op.getFeatures());
    device.pricePerHour = getFigure(op.getPrice());
    device.watts = getFigure(op.getWatts());
    device.idleWatts = getFigure(op.getIdleWatts());
    device.numaNodes = int64_t(op.getNuma().value_or(1));
    for (Operation *scope = op; isa<DeviceOp>(scope);
         scope = scope->getParentOp())
      device.count *= getCount(scope);
    op.getBody().walk([&](WorkerOp worker) { addWorker(device, op, worker); });
    if (device.workers.empty())
      return;
    op.walk([&](MoverOp mover) { addMover(device, op, mover); });
    op.walk([&](SyncOp sync) {
      device.sync.cost = getFigure(sync.getCost());
      device.sync.wake = getFigure(sync.getWake());
      device.sync.counterStride =
          int64_t(sync.getCounterStride().value_or(64));
    });
    op.walk([&](CodegenOp facts) { setFacts(device.facts, facts); });
    system.devices.push_back(std::move(device));
  }

  void addWorker(Device &device, DeviceOp deviceOp, WorkerOp op) {
    Worker worker;
    worker.name = op.getSymName().str();
    worker.kind = op.getKind().value_or("").str();
    worker.clock = getFigure(op.getClock());
    worker.registers = op.getRegisters().getCount();
    worker.registerBits = op.getRegisters().getBits();
    if (std::optional<RegistersAttr> tiles = op.getTileRegisters()) {
      worker.tileRegisters = tiles->getCount();
      worker.tileRegisterBits = tiles->getBits();
    }
    set(worker.loads, op.getLoads());
    set(worker.issue, op.getIssue());
    for (auto costs : op.getBody().getOps<CostsOp>())
      setCosts(worker.costs, costs);
    worker.hasBroadcastOperand = op.getBroadcastOperand();
    worker.smt = int64_t(op.getSmt().value_or(1));
    worker.subgroup = int64_t(op.getSubgroup().value_or(1));
    worker.threads = int64_t(op.getThreads().value_or(1));
    worker.count = 1;
    for (Operation *scope = op; scope != deviceOp->getParentOp();
         scope = scope->getParentOp())
      if (scope != deviceOp.getOperation())
        worker.count *= getCount(scope);

    int64_t sharers = 1;
    for (Operation *scope = op; scope && !isa<ModuleOp>(scope);
         scope = scope->getParentOp()) {
      for (MemoryOp memoryOp : getMemories(scope)) {
        Memory memory = buildMemory(memoryOp);
        memory.sharers = sharers;
        memory.instances = std::max<int64_t>(1, worker.count / sharers);
        worker.levels.push_back(std::move(memory));
      }
      sharers *= getCount(scope);
      if (isa<SystemOp>(scope))
        break;
    }
    for (auto atom : op.getBody().getOps<AtomOp>())
      worker.atoms.push_back(buildAtom(atom, worker.clock.value));
    llvm::stable_sort(worker.atoms, [](const Atom &a, const Atom &b) {
      return a.flopsPerSecond() > b.flopsPerSecond();
    });
    device.workers.push_back(std::move(worker));
  }

  static void setCosts(Costs &costs, CostsOp op) {
    set(costs.convert, op.getConvert());
    set(costs.shuffle, op.getShuffle());
    set(costs.gather, op.getGather());
    set(costs.scatter, op.getScatter());
    set(costs.transpose, op.getTranspose());
    set(costs.fold, op.getFold());
    set(costs.translations, op.getTranslations());
    set(costs.pageMiss, op.getPageMiss());
    set(costs.evicted, op.getEvicted());
    set(costs.held, op.getHeld());
    set(costs.unhidden, op.getUnhidden());
    set(costs.unhiddenMemory, op.getUnhiddenMemory());
    set(costs.tile, op.getTile());
  }

  void addMover(Device &device, DeviceOp deviceOp, MoverOp op) {
    Mover mover;
    mover.name = op.getSymName().str();
    mover.count = int64_t(op.getCount());
    for (Operation *scope = op->getParentOp(); scope != deviceOp;
         scope = scope->getParentOp())
      mover.count *= getCount(scope);
    mover.bandwidth = getFigure(op.getBandwidth());
    mover.latency = getFigure(op.getLatency());
    mover.from = op.getFrom().str();
    mover.to = op.getTo().str();
    mover.outstanding = int64_t(op.getOutstanding().value_or(0));
    device.movers.push_back(std::move(mover));
  }

  void setFacts(CodegenFacts &facts, CodegenOp op) {
    facts.ntStoreFence = op.getNtStoreFence().value_or("").str();
    facts.asyncFence = op.getAsyncFence().value_or("").str();
    facts.bypassLoad = op.getBypassLoad().value_or("").str();
    facts.prefetchDistance = getFigure(op.getPrefetchDistance());
    facts.ntStoreFrom = getFigure(op.getNtStoreFrom());
    facts.denormalCycles = getFigure(op.getDenormal());
    set(facts.lineCrossing, op.getLineCrossing());
    facts.page = int64_t(op.getPage().value_or(4096));
    facts.flushesDenormals = getStrings(op.getFlushesDenormals());
  }

  /// The path of a link's end from the system: what the link's own body is
  /// called, then the reference.
  static std::string getPath(LinkOp op, SymbolRefAttr ref) {
    SmallVector<StringRef> parts;
    for (Operation *scope = op->getParentOp(); isa<DeviceOp>(scope);
         scope = scope->getParentOp())
      parts.push_back(cast<DeviceOp>(scope).getSymName());
    std::reverse(parts.begin(), parts.end());
    parts.push_back(ref.getRootReference().getValue());
    for (FlatSymbolRefAttr nested : ref.getNestedReferences())
      parts.push_back(nested.getValue());
    return llvm::join(parts, ".");
  }

  void addLink(LinkOp op) {
    Link link;
    link.name = op.getSymName().str();
    link.count = int64_t(op.getCount());
    link.from = getPath(op, op.getFromAttr());
    link.to = getPath(op, op.getToAttr());
    switch (op.getTopology().value_or(Topology::Point)) {
    case Topology::Point:
      link.topology = Link::Topology::Point;
      break;
    case Topology::Bus:
      link.topology = Link::Topology::Bus;
      break;
    case Topology::Ring:
      link.topology = Link::Topology::Ring;
      break;
    case Topology::Switch:
      link.topology = Link::Topology::Switch;
      break;
    case Topology::Mesh:
      link.topology = Link::Topology::Mesh;
      break;
    case Topology::AllToAll:
      link.topology = Link::Topology::AllToAll;
      break;
    }
    link.bandwidth = getFigure(op.getBandwidth());
    link.latency = getFigure(op.getLatency());
    link.duplex = !op.getHalfDuplex();
    system.links.push_back(std::move(link));
  }
};
} // namespace headrace::hw

System System::fromOp(SystemOp op) {
  System system;
  SystemBuilder{system}.run(op);
  return system;
}

FailureOr<System> System::parse(StringRef text, StringRef fileName,
                                std::string &error) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<HWDialect>();
  context.printOpOnDiagnostic(false);
  error.clear();
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    llvm::raw_string_ostream stream(error);
    auto report = [&](Diagnostic &d) {
      if (auto loc = d.getLocation()->findInstanceOf<FileLineColLoc>())
        stream << loc.getFilename().getValue() << ':' << loc.getLine() << ':'
               << loc.getColumn() << ": ";
      stream << (d.getSeverity() == DiagnosticSeverity::Note ? "note: " : "")
             << d << '\n';
    };
    report(diagnostic);
    for (Diagnostic &note : diagnostic.getNotes())
      report(note);
    return success();
  });
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(
      text, ParserConfig(&context), fileName);
  if (!module) {
    error = StringRef(error).rtrim().str();
    if (error.empty())
      error = (fileName + ": not a hardware description").str();
    return failure();
  }
  auto systems = module->getOps<SystemOp>();
  if (systems.empty()) {
    error = (fileName + ": expected an 'hw.system' but found none").str();
    return failure();
  }
  System system = fromOp(*systems.begin());
  system.text = text.str();
  return system;
}

FailureOr<System> System::loadFile(StringRef path, std::string &error) {
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> file =
      llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!file) {
    error = ("cannot read hardware description '" + path +
             "': " + file.getError().message())
                .str();
    return failure();
  }
  return parse((*file)->getBuffer(), path, error);
}
