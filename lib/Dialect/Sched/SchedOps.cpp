//===- SchedOps.cpp - The sched dialect: accessors and verifiers ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Verifiers here check form: what a command names exists and fits. Whether a
// schedule is right is for the library (headrace/Schedule/Verifier.h).
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Dialect/Sched/Sched.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::sched;

#define GET_OP_CLASSES
#include "headrace/Dialect/Sched/SchedOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Accessors
//===----------------------------------------------------------------------===//

std::vector<TimelineOp> ProgramOp::getTimelines() {
  auto ops = getBody().front().getOps<TimelineOp>();
  return {ops.begin(), ops.end()};
}

std::vector<ArenaOp> ProgramOp::getArenas() {
  auto ops = getBody().front().getOps<ArenaOp>();
  return {ops.begin(), ops.end()};
}

template <typename OpTy>
static OpTy findNamed(ProgramOp program, StringRef name) {
  for (OpTy op : program.getBody().front().getOps<OpTy>())
    if (op.getName() == name)
      return op;
  return nullptr;
}

StageOp ProgramOp::getStage(StringRef name) {
  return findNamed<StageOp>(*this, name);
}
ArenaOp ProgramOp::getArena(StringRef name) {
  return findNamed<ArenaOp>(*this, name);
}
TimelineOp ProgramOp::getTimeline(StringRef name) {
  return findNamed<TimelineOp>(*this, name);
}

int64_t ProgramOp::getFirstCounter(StringRef family) {
  int64_t first = 0;
  for (TimelineOp timeline : getBody().front().getOps<TimelineOp>()) {
    if (timeline.getName() == family)
      break;
    first += timeline.getCount();
  }
  return first;
}

int64_t ProgramOp::getCounterCount() {
  int64_t count = 0;
  for (TimelineOp timeline : getBody().front().getOps<TimelineOp>())
    count += timeline.getCount();
  return count;
}

SymbolRanges ProgramOp::getSymbolRanges() {
  SymbolRanges ranges;
  if (std::optional<ArrayAttr> symbols = getSymbols())
    for (auto symbol : symbols->getAsRange<hr::SymbolAttr>())
      ranges[symbol.getName()] = {symbol.getLeast(), symbol.getLargest()};
  return ranges;
}

SmallVector<StringRef> ProgramOp::getSymbolNames() {
  SmallVector<StringRef> names;
  if (std::optional<ArrayAttr> symbols = getSymbols())
    for (auto symbol : symbols->getAsRange<hr::SymbolAttr>())
      names.push_back(symbol.getName());
  return names;
}

void BufferOp::getAsmResultNames(OpAsmSetValueNameFn setNameFn) {
  std::string name = hr::stringifyBufferKind(getKind()).str();
  if (getNumber())
    name += std::to_string(*getNumber());
  setNameFn(getResult(), name);
}

int64_t BufferOp::getElementBytes() {
  return llvm::divideCeil(getElementType().getIntOrFloatBitWidth(), 8);
}

SizeExpr BufferOp::getSlotBytes() {
  SizeExpr bytes = getElementBytes();
  for (const SizeExpr &dim : hr::getSizes(getDims()))
    bytes = bytes * dim;
  return bytes;
}

SizeExpr StageOp::getTileCount() {
  SizeExpr count = 1;
  for (const SizeExpr &size : hr::getSizes(getGrid()))
    count = count * size;
  return count;
}

static int64_t countSignals(Block &block) {
  int64_t count = 0;
  for (Operation &op : block) {
    if (auto run = dyn_cast<RunOp>(op))
      count += run.getParts();
    else if (isa<CopyOp>(op))
      ++count;
    else if (auto repeat = dyn_cast<RepeatOp>(op))
      count += repeat.getCount() * countSignals(repeat.getBody().front());
  }
  return count;
}

int64_t TimelineOp::getSignalCount() {
  return countSignals(getBody().front());
}

StageOp RunOp::getStageOp() {
  auto program = (*this)->getParentOfType<ProgramOp>();
  return program ? program.getStage(getStage()) : nullptr;
}

BufferOp RunOp::getBuffer(unsigned number) {
  return getBuffers()[number].getDefiningOp<BufferOp>();
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

/// Names that an expression may use: the entry's symbols, and inside a timeline
/// the number of the worker and of the iterations around `op`.
static SymbolRanges getScope(Operation *op) {
  auto program = op->getParentOfType<ProgramOp>();
  SymbolRanges scope = program ? program.getSymbolRanges() : SymbolRanges();
  for (Operation *parent = op->getParentOp(); parent;
       parent = parent->getParentOp()) {
    if (auto repeat = dyn_cast<RepeatOp>(parent))
      scope[repeat.getIndex()] = {0, int64_t(repeat.getCount()) - 1};
    if (auto timeline = dyn_cast<TimelineOp>(parent))
      scope[timeline.getIndex()] = {0, int64_t(timeline.getCount()) - 1};
  }
  return scope;
}

static LogicalResult verifyExpr(Operation *op, hr::SizeAttr expr,
                                const SymbolRanges &scope, StringRef what) {
  std::string unknown;
  expr.getExpr().walkSymbols([&](StringRef symbol) {
    if (!scope.contains(symbol))
      unknown = symbol.str();
  });
  if (!unknown.empty())
    return op->emitOpError() << what << " '" << expr.getText()
                             << "' uses the unknown symbol '" << unknown << "'";
  return success();
}

static LogicalResult verifyExprs(Operation *op, ArrayAttr exprs,
                                 const SymbolRanges &scope, StringRef what) {
  for (auto expr : exprs.getAsRange<hr::SizeAttr>())
    if (failed(verifyExpr(op, expr, scope, what)))
      return failure();
  return success();
}

/// The slot exists in every iteration.
static LogicalResult verifySlot(Operation *op, BufferOp buffer,
                                hr::SizeAttr slot, const SymbolRanges &scope) {
  if (!buffer)
    return op->emitOpError() << "operand is not a sched.buffer";
  if (failed(verifyExpr(op, slot, scope, "slot")))
    return failure();
  int64_t slots = buffer.getSlots();
  Interval bounds = slot.getExpr().bounds(scope);
  if (bounds.min < 0 || bounds.max >= slots)
    return (op->emitOpError()
            << "slot '" << slot.getText() << "' is in [" << bounds.min << ", "
            << bounds.max << "], expected [0, " << slots - 1 << "]")
               .attachNote(buffer.getLoc())
           << "the buffer";
  return success();
}

LogicalResult ProgramOp::verify() {
  llvm::StringSet<> arenas, stages, families;
  int64_t workers = 0;
  if (std::optional<ArrayAttr> symbols = getSymbols())
    for (Attribute symbol : *symbols)
      if (!isa<hr::SymbolAttr>(symbol))
        return emitOpError() << "expected #hr.symbol but got " << symbol;
  if (getScratchBytes() < 0)
    return emitOpError() << "expected no negative scratch but got "
                         << getScratchBytes();
  if (getFromWork() && !getWork())
    return emitOpError() << "says from how much work it is taken but not what "
                            "work is";
  if (getWork()) {
    LogicalResult known = success();
    getWork()->getExpr().walkSymbols([&](StringRef name) {
      if (succeeded(known) && !llvm::is_contained(getSymbolNames(), name))
        known = emitOpError() << "work depends on the unknown size '" << name
                              << "'";
    });
    if (failed(known))
      return failure();
  }
  if (std::optional<DictionaryAttr> fences = getFences())
    for (NamedAttribute fence : *fences)
      if (!symbolizeStoreClass(fence.getName()) ||
          !isa<StringAttr>(fence.getValue()))
        return emitOpError()
               << "expected the name of a class of stores and a string but got "
               << fence.getName() << " = " << fence.getValue();
  for (Operation &op : getBody().front()) {
    if (auto arena = dyn_cast<ArenaOp>(op)) {
      if (!arenas.insert(arena.getName()).second)
        return arena.emitOpError()
               << "the name @" << arena.getName() << " is taken";
    } else if (auto stage = dyn_cast<StageOp>(op)) {
      if (!stages.insert(stage.getName()).second)
        return stage.emitOpError()
               << "the name @" << stage.getName() << " is taken";
      if (stage.getScratchBytes() > getScratchBytes())
        return stage.emitOpError()
               << "needs " << stage.getScratchBytes()
               << " bytes of scratch but the program has " << getScratchBytes();
    } else if (auto timeline = dyn_cast<TimelineOp>(op)) {
      if (!families.insert(timeline.getName()).second)
        return timeline.emitOpError()
               << "the name @" << timeline.getName() << " is taken";
      if (timeline.getKind() == TimelineKind::Worker)
        workers += timeline.getCount();
    } else if (!isa<BufferOp>(op)) {
      return op.emitOpError() << "does not belong in a sched.program";
    }
  }
  if (workers != int64_t(getWorkers()))
    return emitOpError() << "expected " << getWorkers()
                         << " worker timelines but got " << workers;
  return success();
}

LogicalResult ArenaOp::verify() {
  SymbolRanges scope = getScope(*this);
  for (hr::SizeAttr expr : {getBytesAttr(), getLowerBoundAttr()})
    if (expr && failed(verifyExpr(*this, expr, scope, "size")))
      return failure();
  return success();
}

LogicalResult BufferOp::verify() {
  bool named = getKind() == hr::BufferKind::Const ||
               getKind() == hr::BufferKind::State;
  bool numbered = getKind() == hr::BufferKind::Input ||
                  getKind() == hr::BufferKind::Output;
  if (named != getSymbols().has_value())
    return emitOpError() << "symbols belong to const and state buffers";
  if (numbered != getNumber().has_value())
    return emitOpError() << "a number belongs to input and output buffers";
  if (int64_t(getSlots()) < 1)
    return emitOpError() << "expected at least one slot but got "
                         << int64_t(getSlots());
  if (named && getSlots() != getSymbols()->size())
    return emitOpError() << "expected " << getSymbols()->size()
                         << " slots, one per symbol, but got " << getSlots();
  if (numbered && getSlots() != 1)
    return emitOpError() << "expected one slot but got " << getSlots();
  if (!getElementType().isIntOrFloat())
    return emitOpError() << "expected an integer or float element type but got "
                         << getElementType();
  if (!llvm::isPowerOf2_64(getAlign()))
    return emitOpError() << "expected a power of two as alignment but got "
                         << getAlign();
  SymbolRanges scope = getScope(*this);
  if (failed(verifyExprs(*this, getDims(), scope, "dimension")))
    return failure();
  if (getArena()) {
    if (getKind() != hr::BufferKind::Temp)
      return emitOpError() << "only a temp lies in an arena";
    if (!(*this)->getParentOfType<ProgramOp>().getArena(*getArena()))
      return emitOpError() << "no arena is named @" << *getArena();
  }
  if (getReadBack() && getKind() != hr::BufferKind::State)
    return emitOpError() << "only a state can be read back";
  if ((getOffset() || getStride()) && !getArena())
    return emitOpError() << "an offset needs an arena";
  if (getOffset() && getSlots() > 1 && !getStride())
    return emitOpError() << "expected a stride between " << getSlots()
                         << " slots";
  for (hr::SizeAttr expr : {getOffsetAttr(), getStrideAttr()})
    if (expr && failed(verifyExpr(*this, expr, scope, "offset")))
      return failure();
  return success();
}

LogicalResult StageOp::verify() {
  SymbolRanges scope = getScope(*this);
  if (failed(verifyExprs(*this, getGrid(), scope, "grid")))
    return failure();
  if (getAccess().size() != getFootprints().size())
    return emitOpError() << "expected as many footprints as accesses, "
                         << getAccess().size() << ", but got "
                         << getFootprints().size();
  for (auto [k, footprint] : llvm::enumerate(
           getFootprints().getAsRange<hr::FootprintAttr>())) {
    AffineMap origin = footprint.getOrigin();
    if (origin.getNumDims() != getGrid().size() || origin.getNumSymbols() != 0)
      return emitOpError() << "footprint of operand " << k << " maps "
                           << origin.getNumDims() << " coordinates and "
                           << origin.getNumSymbols()
                           << " symbols, expected " << getGrid().size()
                           << " and 0";
    if (origin.getNumResults() != footprint.getExtent().size())
      return emitOpError() << "footprint of operand " << k << " has "
                           << origin.getNumResults() << " origins and "
                           << footprint.getExtent().size() << " extents";
    for (Attribute extent : footprint.getExtent())
      if (!isa<hr::SizeAttr>(extent))
        return emitOpError() << "expected #hr.size but got " << extent;
    if (failed(verifyExprs(*this, footprint.getExtent(), scope, "extent")))
      return failure();
    if (hr::SizeAttr touched = footprint.getTouched())
      if (failed(verifyExprs(
              *this, ArrayAttr::get(getContext(), Attribute(touched)), scope,
              "number of touched indices")))
        return failure();
  }
  for (Attribute symbol : getSymbols()) {
    auto name = dyn_cast<StringAttr>(symbol);
    if (!name || !scope.contains(name.getValue()))
      return emitOpError() << symbol << " is not a symbol of the entry";
  }
  if (std::optional<ArrayRef<int64_t>> keeps = getKeeps())
    for (int64_t k : *keeps)
      if (k < 0 || k >= int64_t(getAccess().size()) ||
          cast<hr::AccessAttr>(getAccess()[k]).getValue() == hr::Access::Read)
        return emitOpError() << "keeps operand " << k
                             << ", which it does not write";
  if (hr::SizeAttr flops = getFlopsAttr())
    return verifyExpr(*this, flops, scope, "flops");
  return success();
}

LogicalResult TimelineOp::verify() {
  if (int64_t(getCount()) < 1)
    return emitOpError() << "expected at least one timeline but got "
                         << int64_t(getCount());
  for (Operation &op : getBody().front())
    if (!isa<RunOp, CopyOp, WaitOp, RepeatOp>(op))
      return op.emitOpError() << "is not a command";
  auto program = (*this)->getParentOfType<ProgramOp>();
  if (program.getSymbolRanges().contains(getIndex()))
    return emitOpError() << "the name '" << getIndex()
                         << "' is that of a symbol of the entry";
  return success();
}

LogicalResult RunOp::verify() {
  StageOp stage = getStageOp();
  if (!stage)
    return emitOpError() << "no stage is named @" << getStage();
  if (getBuffers().size() != stage.getAccess().size())
    return (emitOpError() << "expected " << stage.getAccess().size()
                          << " operands but got " << getBuffers().size())
               .attachNote(stage.getLoc())
           << "the stage";
  if (getSlots().size() != getBuffers().size())
    return emitOpError() << "expected " << getBuffers().size()
                         << " slots but got " << getSlots().size();
  if (int64_t(getParts()) < 1)
    return emitOpError() << "expected at least one part but got "
                         << int64_t(getParts());
  SymbolRanges scope = getScope(*this);
  if (failed(verifyExpr(*this, getFrom(), scope, "tile")) ||
      failed(verifyExpr(*this, getTo(), scope, "tile")))
    return failure();
  for (unsigned k = 0; k < getBuffers().size(); ++k) {
    BufferOp buffer = getBuffer(k);
    if (failed(verifySlot(*this, buffer, cast<hr::SizeAttr>(getSlots()[k]),
                          scope)))
      return failure();
    auto footprint = cast<hr::FootprintAttr>(stage.getFootprints()[k]);
    if (!footprint.isWhole() &&
        footprint.getExtent().size() != buffer.getDims().size())
      return emitOpError() << "operand " << k << " has "
                           << buffer.getDims().size()
                           << " dimensions but the stage's footprint has "
                           << footprint.getExtent().size();
    auto access = cast<hr::AccessAttr>(stage.getAccess()[k]).getValue();
    if (access != hr::Access::Read &&
        (buffer.getKind() == hr::BufferKind::Input ||
         buffer.getKind() == hr::BufferKind::Const))
      return emitOpError() << "operand " << k << " is written, but it is "
                           << (buffer.getKind() == hr::BufferKind::Input
                                   ? "an input"
                                   : "a constant");
  }
  return success();
}

LogicalResult CopyOp::verify() {
  auto source = getSource().getDefiningOp<BufferOp>();
  auto dest = getDest().getDefiningOp<BufferOp>();
  SymbolRanges scope = getScope(*this);
  if (failed(verifySlot(*this, source, getSourceSlot(), scope)) ||
      failed(verifySlot(*this, dest, getDestSlot(), scope)))
    return failure();
  if (source.getElementType() != dest.getElementType())
    return emitOpError() << "element types differ: " << source.getElementType()
                         << " and " << dest.getElementType();
  size_t rank = getExtent().size();
  if (source.getDims().size() != rank || dest.getDims().size() != rank ||
      getSourceOrigin().size() != rank || getDestOrigin().size() != rank)
    return emitOpError() << "expected buffers and origins of rank " << rank;
  if (dest.getKind() == hr::BufferKind::Input ||
      dest.getKind() == hr::BufferKind::Const)
    return emitOpError() << "writes "
                         << (dest.getKind() == hr::BufferKind::Input
                                 ? "an input"
                                 : "a constant");
  for (ArrayAttr exprs : {getSourceOrigin(), getDestOrigin(), getExtent()})
    if (failed(verifyExprs(*this, exprs, scope, "index")))
      return failure();
  return success();
}

LogicalResult WaitOp::verify() {
  auto program = (*this)->getParentOfType<ProgramOp>();
  TimelineOp family = program.getTimeline(getTimeline());
  if (!family)
    return emitOpError() << "no timeline is named @" << getTimeline();
  if (getByFrom().has_value() != getByTo().has_value())
    return emitOpError() << "expected both ends of a range of workers";
  SymbolRanges scope = getScope(*this);
  if (failed(verifyExpr(*this, getFrom(), scope, "number")) ||
      failed(verifyExpr(*this, getTo(), scope, "number")) ||
      failed(verifyExpr(*this, getCount(), scope, "count")))
    return failure();
  Interval bounds = getCount().getExpr().bounds(scope);
  int64_t signals = family.getSignalCount();
  if (bounds.max > signals)
    return emitOpError() << "waits for " << bounds.max << " signals of @"
                         << getTimeline() << ", which gives only " << signals;
  return success();
}

LogicalResult RepeatOp::verify() {
  if (int64_t(getCount()) < 1)
    return emitOpError() << "expected at least one iteration but got "
                         << int64_t(getCount());
  for (Operation &op : getBody().front())
    if (!isa<RunOp, CopyOp, WaitOp, RepeatOp>(op))
      return op.emitOpError() << "is not a command";
  if (getScope(*this).contains(getIndex()))
    return emitOpError() << "the name '" << getIndex() << "' is taken";
  return success();
}
