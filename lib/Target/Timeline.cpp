//===- Timeline.cpp - Schedules transcribed to LLVM IR --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A plain transcription: a run is a call, a repeat a loop, a wait and a signal
// are calls into the runtime, and every expression is computed where it is
// used. Nothing is decided here. Programs for one worker have no waits and no
// signals.
//
//===----------------------------------------------------------------------===//
#include "Timeline.h"
#include "Lowering.h"
#include "headrace/Runtime/Layout.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/MDBuilder.h"

using namespace mlir;
using namespace headrace;

/// Alignment of arenas and of each worker's scratch.
static constexpr int64_t blockAlignment = 128;

SmallVector<std::string> headrace::getSlotNames(sched::BufferOp buffer) {
  SmallVector<std::string> names;
  if (auto symbols = buffer.getSymbols())
    for (auto symbol : symbols->getAsRange<FlatSymbolRefAttr>())
      names.push_back(symbol.getValue().str());
  return names;
}

std::optional<int64_t>
Placement::getStateStride(ArrayRef<std::string> stack) const {
  if (stack.size() < 2)
    return 0;
  int64_t stride = states.lookup(stack[1]) - states.lookup(stack[0]);
  for (size_t i = 2; i < stack.size(); ++i)
    if (states.lookup(stack[i]) - states.lookup(stack[i - 1]) != stride)
      return std::nullopt;
  return stride;
}

//===----------------------------------------------------------------------===//
// Transcription
//===----------------------------------------------------------------------===//

namespace {
class Transcriber {
public:
  Transcriber(sched::ProgramOp program, const ImageEntry &entry,
              const Placement &placement, llvm::Module &module)
      : program(program), entry(entry), placement(placement), module(module),
        context(module.getContext()), b(context), i32(b.getInt32Ty()),
        i64(b.getInt64Ty()), ptr(b.getPtrTy()) {}

  LogicalResult run(ImageSchedule &schedule);

private:
  LogicalResult emitFamily(sched::TimelineOp family);
  LogicalResult emitCommands(Block &block);
  LogicalResult emitRun(sched::RunOp op);
  LogicalResult emitCopy(sched::CopyOp op);
  LogicalResult emitWait(sched::WaitOp op);
  LogicalResult emitRepeat(sched::RepeatOp op);
  LogicalResult emitSignal(Operation *op, std::optional<StringRef> fence);
  /// Emits `body`, and records of when it began and ended where the context
  /// asks for them: what is not asked for costs two tests of one value.
  void emitProfiled(llvm::function_ref<void()> body);

  /// Emits `body` for each number in [from, to).
  void emitLoop(llvm::Value *from, llvm::Value *to, const Twine &name,
                llvm::function_ref<void(llvm::Value *)> body);
  /// Emits `body`; where it writes state, it is skipped once the call has met an
  /// error in the data.
  void emitGuarded(bool writesState, llvm::function_ref<void()> body);
  /// Emits `body` if `condition` holds, which it seldom does if `unlikely`.
  void emitIf(llvm::Value *condition, llvm::function_ref<void()> body,
              bool unlikely = false);

  llvm::Value *emitSize(const SizeExpr &expr);
  llvm::Value *emitSize(hr::SizeAttr size) { return emitSize(size.getExpr()); }
  llvm::Value *emitFloorDiv(llvm::Value *lhs, llvm::Value *rhs);
  /// Field `number` of the frame.
  llvm::Value *loadFrame(unsigned number, const Twine &name);
  llvm::Value *loadElement(llvm::Type *type, llvm::Value *base, int64_t index,
                           const Twine &name);
  llvm::Value *addBytes(llvm::Value *base, llvm::Value *offset) {
    return b.CreateGEP(b.getInt8Ty(), base, offset);
  }
  /// The first byte of a slot; null after a diagnostic.
  llvm::Value *emitAddress(Operation *user, sched::BufferOp buffer,
                           hr::SizeAttr slot);
  /// base + offset of slot `slot` of a stack at `offsets`.
  llvm::Value *emitStackAddress(llvm::Value *base,
                                ArrayRef<int64_t> offsets,
                                std::optional<int64_t> stride,
                                hr::SizeAttr slot);
  /// A one-dimensional memref as MLIR passes it.
  void appendMemRef(SmallVectorImpl<llvm::Value *> &arguments,
                    llvm::Value *address, llvm::Value *elements) {
    arguments.append({address, address, b.getInt64(0), elements, b.getInt64(1)});
  }

  sched::ProgramOp program;
  const ImageEntry &entry;
  const Placement &placement;
  llvm::Module &module;
  llvm::LLVMContext &context;
  llvm::IRBuilder<> b;
  llvm::Type *i32, *i64;
  llvm::PointerType *ptr;

  llvm::Function *function = nullptr;
  llvm::Value *frame = nullptr, *scratch = nullptr;
  int64_t scratchStride = 0;
  bool alone = false;
  /// Names that expressions may use, with their values.
  llvm::StringMap<llvm::Value *> names;
  /// Of the worker: its number in its family, and of its counter.
  llvm::Value *self = nullptr, *counter = nullptr;
  /// Whether the context profiles, and the number of the next command there.
  llvm::Value *profiled = nullptr;
  int64_t commandNumber = 0;
  StringRef family;
  /// The numbers of the iterations around the command, outermost first.
  SmallVector<llvm::Value *> iterations;
  /// Where each arena begins in the context's block.
  llvm::StringMap<SizeExpr> arenas;
};

/// Emits a size as instructions.
struct SizeEmitter : SizeExpr::Visitor {
  SizeEmitter(llvm::IRBuilder<> &b, const llvm::StringMap<llvm::Value *> &names,
              llvm::function_ref<llvm::Value *(llvm::Value *, llvm::Value *)>
                  floorDiv)
      : b(b), names(names), floorDiv(floorDiv) {}
  void constant(int64_t value) override {
    stack.push_back(b.getInt64(static_cast<uint64_t>(value)));
  }
  void symbol(StringRef name) override {
    llvm::Value *value = names.lookup(name);
    // The verifier of the program has checked names.
    stack.push_back(value ? value : b.getInt64(0));
  }
  void binary(StringRef op) override {
    llvm::Value *rhs = stack.pop_back_val(), *lhs = stack.pop_back_val();
    if (op == "+")
      stack.push_back(b.CreateAdd(lhs, rhs));
    else if (op == "*")
      stack.push_back(b.CreateMul(lhs, rhs));
    else if (op == "floordiv")
      stack.push_back(floorDiv(lhs, rhs));
    else if (op == "mod")
      stack.push_back(b.CreateSub(lhs, b.CreateMul(floorDiv(lhs, rhs), rhs)));
    else
      stack.push_back(b.CreateBinaryIntrinsic(
          op == "min" ? llvm::Intrinsic::smin : llvm::Intrinsic::smax, lhs,
          rhs));
  }
  llvm::IRBuilder<> &b;
  const llvm::StringMap<llvm::Value *> &names;
  llvm::function_ref<llvm::Value *(llvm::Value *, llvm::Value *)> floorDiv;
  SmallVector<llvm::Value *> stack;
};
} // namespace

llvm::Value *Transcriber::emitFloorDiv(llvm::Value *lhs, llvm::Value *rhs) {
  llvm::Value *quotient = b.CreateSDiv(lhs, rhs);
  llvm::Value *rest = b.CreateSRem(lhs, rhs);
  llvm::Value *differ =
      b.CreateICmpSLT(b.CreateXor(rest, rhs), b.getInt64(0));
  llvm::Value *down =
      b.CreateAnd(differ, b.CreateICmpNE(rest, b.getInt64(0)));
  return b.CreateSub(quotient, b.CreateZExt(down, i64));
}

llvm::Value *Transcriber::emitSize(const SizeExpr &expr) {
  auto floorDiv = [&](llvm::Value *lhs, llvm::Value *rhs) {
    return emitFloorDiv(lhs, rhs);
  };
  SizeEmitter emitter(b, names, floorDiv);
  expr.visit(emitter);
  return emitter.stack.front();
}

llvm::Value *Transcriber::loadElement(llvm::Type *type, llvm::Value *base,
                                      int64_t index, const Twine &name) {
  llvm::Value *at = b.CreateConstGEP1_64(type, base, index);
  llvm::LoadInst *load = b.CreateLoad(type, at, name);
  // Nothing of the frame that we read changes during a call.
  load->setMetadata(llvm::LLVMContext::MD_invariant_load,
                    llvm::MDNode::get(context, {}));
  return load;
}

llvm::Value *Transcriber::loadFrame(unsigned number, const Twine &name) {
  return loadElement(ptr, frame, number, name);
}

void Transcriber::emitIf(llvm::Value *condition,
                         llvm::function_ref<void()> body, bool unlikely) {
  if (auto *constant = dyn_cast<llvm::ConstantInt>(condition)) {
    if (constant->isOne())
      body();
    return;
  }
  auto *then = llvm::BasicBlock::Create(context, "then", function);
  auto *done = llvm::BasicBlock::Create(context, "done", function);
  b.CreateCondBr(condition, then, done,
                 unlikely ? llvm::MDBuilder(context).createUnlikelyBranchWeights()
                          : nullptr);
  b.SetInsertPoint(then);
  body();
  b.CreateBr(done);
  b.SetInsertPoint(done);
}

void Transcriber::emitGuarded(bool writesState,
                              llvm::function_ref<void()> body) {
  if (!writesState)
    return body();
  llvm::LoadInst *state = b.CreateLoad(
      i32, addBytes(frame, b.getInt64(offsetof(hr_frame, error_state))),
      "error");
  state->setAtomic(llvm::AtomicOrdering::Monotonic);
  emitIf(b.CreateICmpEQ(state, b.getInt32(0)), body);
}

void Transcriber::emitLoop(llvm::Value *from, llvm::Value *to,
                           const Twine &name,
                           llvm::function_ref<void(llvm::Value *)> body) {
  llvm::BasicBlock *before = b.GetInsertBlock();
  auto *head = llvm::BasicBlock::Create(context, name + ".head", function);
  auto *inside = llvm::BasicBlock::Create(context, name + ".body", function);
  auto *done = llvm::BasicBlock::Create(context, name + ".done", function);
  b.CreateBr(head);
  b.SetInsertPoint(head);
  llvm::PHINode *number = b.CreatePHI(i64, 2, name);
  number->addIncoming(from, before);
  b.CreateCondBr(b.CreateICmpSLT(number, to), inside, done);
  b.SetInsertPoint(inside);
  body(number);
  number->addIncoming(b.CreateAdd(number, b.getInt64(1)), b.GetInsertBlock());
  b.CreateBr(head);
  b.SetInsertPoint(done);
}

llvm::Value *Transcriber::emitStackAddress(llvm::Value *base,
                                           ArrayRef<int64_t> offsets,
                                           std::optional<int64_t> stride,
                                           hr::SizeAttr slot) {
  if (offsets.size() == 1)
    return addBytes(base, b.getInt64(offsets[0]));
  llvm::Value *number = emitSize(slot);
  if (stride)
    return addBytes(addBytes(base, b.getInt64(offsets[0])),
                    b.CreateMul(number, b.getInt64(*stride)));
  // Slots shared with another stack in another order: a table.
  SmallVector<uint64_t> values(offsets.begin(), offsets.end());
  llvm::Constant *table = llvm::ConstantDataArray::get(context, values);
  auto *global = new llvm::GlobalVariable(
      module, table->getType(), true, llvm::GlobalValue::PrivateLinkage, table,
      "slots");
  llvm::Value *at = b.CreateGEP(i64, global, number);
  return addBytes(base, b.CreateLoad(i64, at));
}

llvm::Value *Transcriber::emitAddress(Operation *user, sched::BufferOp buffer,
                                      hr::SizeAttr slot) {
  switch (buffer.getKind()) {
  case hr::BufferKind::Input:
    return loadElement(ptr, loadFrame(4, "inputs"), *buffer.getNumber(),
                       "input");
  case hr::BufferKind::Output:
    return loadElement(ptr, loadFrame(5, "outputs"), *buffer.getNumber(),
                       "output");
  case hr::BufferKind::Const: {
    SmallVector<std::string> stack = getSlotNames(buffer);
    SmallVector<int64_t> offsets;
    for (const std::string &name : stack)
      offsets.push_back(placement.weights->getOffset(name));
    return emitStackAddress(loadFrame(1, "weights"), offsets,
                            placement.weights->getStride(stack), slot);
  }
  case hr::BufferKind::State: {
    SmallVector<std::string> stack = getSlotNames(buffer);
    SmallVector<int64_t> offsets;
    for (const std::string &name : stack)
      offsets.push_back(placement.states.lookup(name));
    return emitStackAddress(loadFrame(2, "state"), offsets,
                            placement.getStateStride(stack), slot);
  }
  case hr::BufferKind::Temp:
    break;
  }
  auto arena = arenas.find(buffer.getArena().value_or(""));
  if (arena == arenas.end() || !buffer.getOffset()) {
    user->emitError() << "buffer has no place: offsets are not assigned";
    return nullptr;
  }
  SizeExpr offset = arena->second + buffer.getOffset()->getExpr();
  llvm::Value *address = addBytes(loadFrame(0, "arena"), emitSize(offset));
  if (buffer.getSlots() == 1)
    return address;
  SizeExpr stride = buffer.getStride() ? buffer.getStride()->getExpr()
                                       : buffer.getSlotBytes();
  return addBytes(address, b.CreateMul(emitSize(slot), emitSize(stride)));
}

void Transcriber::emitProfiled(llvm::function_ref<void()> body) {
  auto *type = llvm::FunctionType::get(b.getVoidTy(), {ptr, i64, i64, i64},
                                       false);
  emitIf(
      profiled,
      [&] {
        b.CreateCall(module.getOrInsertFunction("hr_profile_begin", type),
                     {frame, counter, b.getInt64(commandNumber),
                      iterations.empty() ? b.getInt64(0) : iterations.back()});
      },
      /*unlikely=*/true);
  body();
  type = llvm::FunctionType::get(b.getVoidTy(), {ptr, i64}, false);
  emitIf(
      profiled,
      [&] {
        b.CreateCall(module.getOrInsertFunction("hr_profile_end", type),
                     {frame, counter});
      },
      /*unlikely=*/true);
}

LogicalResult Transcriber::emitSignal(Operation *op,
                                      std::optional<StringRef> fence) {
  if (alone)
    return success();
  if (fence) {
    if (*fence != "sfence" && *fence != "dmb ishst")
      return op->emitError() << "no fence '" << *fence << "' on CPUs";
    auto *type = llvm::FunctionType::get(b.getVoidTy(), false);
    b.CreateCall(type, llvm::InlineAsm::get(type, *fence, "~{memory}", true));
  }
  llvm::FunctionCallee callee = module.getOrInsertFunction(
      "hr_signal", llvm::FunctionType::get(b.getVoidTy(), {ptr, i64}, false));
  b.CreateCall(callee, {frame, counter});
  return success();
}

LogicalResult Transcriber::emitRun(sched::RunOp op) {
  sched::StageOp stage = op.getStageOp();
  auto stageFunction =
      SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
          program->getParentOp(), stage.getFunctionAttr());
  if (!stageFunction)
    return op.emitError() << "no function '" << stage.getFunction() << "'";
  ArrayRef<Type> types = stageFunction.getFunctionType().getInputs();
  size_t expected = 4 + op.getBuffers().size() + stage.getSymbols().size();
  bool takesIteration = types.size() == expected + 1;
  if (types.size() != expected && !takesIteration)
    return op.emitError() << "expected stage function '"
                          << stage.getFunction() << "' to take " << expected
                          << " arguments but got " << types.size();
  SmallVector<llvm::Type *> lowered;
  for (Type type : types) {
    if (auto memref = dyn_cast<MemRefType>(type)) {
      if (memref.getRank() != 1)
        return op.emitError() << "expected operands of rank 1 of stage '"
                              << stage.getFunction() << "' but got " << memref;
      lowered.append({ptr, ptr, i64, i64, i64});
    } else {
      lowered.push_back(i64);
    }
  }
  llvm::FunctionCallee callee = module.getOrInsertFunction(
      getStageSymbol(stage.getFunction()),
      llvm::FunctionType::get(b.getVoidTy(), lowered, false));

  // Arguments that do not depend on the part.
  SmallVector<llvm::Value *> rest;
  appendMemRef(rest, scratch, b.getInt64(scratchStride));
  appendMemRef(rest, frame, b.getInt64(sizeof(hr_frame)));
  for (unsigned i = 0; i < op.getBuffers().size(); ++i) {
    sched::BufferOp buffer = op.getBuffer(i);
    llvm::Value *address =
        emitAddress(op, buffer, cast<hr::SizeAttr>(op.getSlots()[i]));
    if (!address)
      return failure();
    SizeExpr elements(1);
    for (auto dim : buffer.getDims().getAsRange<hr::SizeAttr>())
      elements = elements * dim.getExpr();
    appendMemRef(rest, address, emitSize(elements));
  }
  for (Attribute symbol : stage.getSymbols()) {
    StringRef name = cast<StringAttr>(symbol).getValue();
    llvm::Value *value = names.lookup(name);
    if (!value)
      return op.emitError() << "stage '" << stage.getFunction()
                            << "' needs the unknown size '" << name << "'";
    rest.push_back(value);
  }
  if (takesIteration)
    rest.push_back(iterations.empty() ? b.getInt64(0) : iterations.back());

  bool writesState = false;
  for (auto [i, access] : llvm::enumerate(
           stage.getAccess().getAsRange<hr::AccessAttr>()))
    writesState |= access.getValue() != hr::Access::Read &&
                   op.getBuffer(i).getKind() == hr::BufferKind::State;
  auto call = [&](llvm::Value *from, llvm::Value *to) {
    emitProfiled([&] {
      emitIf(b.CreateICmpSLT(from, to), [&] {
        emitGuarded(writesState, [&] {
          SmallVector<llvm::Value *> arguments = {from, to};
          arguments.append(rest);
          b.CreateCall(callee, arguments);
        });
      });
    });
  };
  llvm::Value *from = emitSize(op.getFrom()), *to = emitSize(op.getTo());
  if (alone || op.getParts() == 1) {
    call(from, to);
    return emitSignal(op, op.getFence());
  }
  LogicalResult result = success();
  llvm::Value *parts = b.getInt64(op.getParts());
  llvm::Value *length = b.CreateSub(to, from);
  emitLoop(b.getInt64(0), parts, "part", [&](llvm::Value *part) {
    llvm::Value *next = b.CreateAdd(part, b.getInt64(1));
    call(b.CreateAdd(from, emitFloorDiv(b.CreateMul(part, length), parts)),
         b.CreateAdd(from, emitFloorDiv(b.CreateMul(next, length), parts)));
    result = emitSignal(op, op.getFence());
  });
  return result;
}

LogicalResult Transcriber::emitCopy(sched::CopyOp op) {
  auto source = op.getSource().getDefiningOp<sched::BufferOp>();
  auto dest = op.getDest().getDefiningOp<sched::BufferOp>();
  llvm::Value *from = emitAddress(op, source, op.getSourceSlot());
  llvm::Value *to = emitAddress(op, dest, op.getDestSlot());
  if (!from || !to)
    return failure();
  llvm::Value *width = b.getInt64(source.getElementBytes());
  size_t rank = op.getExtent().size();
  // Offsets of the current row, in elements.
  std::function<void(size_t, llvm::Value *, llvm::Value *)> emitDimension =
      [&](size_t d, llvm::Value *sourceRow, llvm::Value *destRow) {
        auto origin = [&](ArrayAttr origins) {
          return emitSize(cast<hr::SizeAttr>(origins[d]));
        };
        llvm::Value *extent = emitSize(cast<hr::SizeAttr>(op.getExtent()[d]));
        sourceRow = b.CreateAdd(
            b.CreateMul(sourceRow,
                        emitSize(cast<hr::SizeAttr>(source.getDims()[d]))),
            origin(op.getSourceOrigin()));
        destRow = b.CreateAdd(
            b.CreateMul(destRow,
                        emitSize(cast<hr::SizeAttr>(dest.getDims()[d]))),
            origin(op.getDestOrigin()));
        if (d + 1 == rank) {
          b.CreateMemCpy(addBytes(to, b.CreateMul(destRow, width)),
                         llvm::MaybeAlign(),
                         addBytes(from, b.CreateMul(sourceRow, width)),
                         llvm::MaybeAlign(), b.CreateMul(extent, width));
          return;
        }
        emitLoop(b.getInt64(0), extent, "row", [&](llvm::Value *row) {
          emitDimension(d + 1, b.CreateAdd(sourceRow, row),
                        b.CreateAdd(destRow, row));
        });
      };
  emitProfiled([&] {
    emitGuarded(dest.getKind() == hr::BufferKind::State, [&] {
      if (rank == 0)
        b.CreateMemCpy(to, llvm::MaybeAlign(), from, llvm::MaybeAlign(), width);
      else
        emitDimension(0, b.getInt64(0), b.getInt64(0));
    });
  });
  return emitSignal(op, op.getFence());
}

LogicalResult Transcriber::emitWait(sched::WaitOp op) {
  if (alone)
    return success();
  sched::TimelineOp other = program.getTimeline(op.getTimeline());
  llvm::Value *from = b.CreateBinaryIntrinsic(
      llvm::Intrinsic::smax, emitSize(op.getFrom()), b.getInt64(0));
  llvm::Value *to = b.CreateBinaryIntrinsic(llvm::Intrinsic::smin,
                                            emitSize(op.getTo()),
                                            b.getInt64(other.getCount()));
  llvm::Value *count = emitSize(op.getCount());
  int64_t first = program.getFirstCounter(op.getTimeline());
  bool own = op.getTimeline() == family;
  llvm::FunctionCallee callee = module.getOrInsertFunction(
      "hr_wait",
      llvm::FunctionType::get(b.getVoidTy(), {ptr, i64, i64}, false));
  llvm::Value *waits = b.getTrue();
  if (op.getByFrom() && op.getByTo())
    waits = b.CreateAnd(
        b.CreateICmpSGE(self, b.getInt64(*op.getByFrom())),
        b.CreateICmpSLT(self, b.getInt64(*op.getByTo())));
  emitIf(waits, [&] {
    emitLoop(from, to, "other", [&](llvm::Value *number) {
      auto wait = [&] {
        b.CreateCall(callee,
                     {frame, b.CreateAdd(number, b.getInt64(first)), count});
      };
      if (own)
        emitIf(b.CreateICmpNE(number, self), wait);
      else
        wait();
    });
  });
  return success();
}

LogicalResult Transcriber::emitRepeat(sched::RepeatOp op) {
  LogicalResult result = success();
  emitLoop(b.getInt64(0), b.getInt64(op.getCount()), "repeat",
           [&](llvm::Value *number) {
             llvm::Value *outer = names.lookup(op.getIndex());
             names[op.getIndex()] = number;
             iterations.push_back(number);
             result = emitCommands(op.getBody().front());
             iterations.pop_back();
             if (outer)
               names[op.getIndex()] = outer;
             else
               names.erase(op.getIndex());
           });
  return result;
}

LogicalResult Transcriber::emitCommands(Block &block) {
  for (Operation &op : block) {
    LogicalResult result =
        llvm::TypeSwitch<Operation *, LogicalResult>(&op)
            .Case([&](sched::RunOp run) { return emitRun(run); })
            .Case([&](sched::CopyOp copy) { return emitCopy(copy); })
            .Case([&](sched::WaitOp wait) { return emitWait(wait); })
            .Case([&](sched::RepeatOp repeat) { return emitRepeat(repeat); })
            .Default([&](Operation *other) {
              return other->emitError()
                     << "not a command of a timeline: " << other->getName();
            });
    if (failed(result))
      return failure();
    // As in getWork.
    if (isa<sched::RunOp, sched::CopyOp>(op))
      ++commandNumber;
  }
  return success();
}

LogicalResult Transcriber::emitFamily(sched::TimelineOp timeline) {
  if (timeline.getKind() == sched::TimelineKind::Mover)
    return timeline.emitError()
           << "no movers on CPUs: timeline '" << timeline.getName() << "'";
  family = timeline.getName();
  names[timeline.getIndex()] = self;
  if (failed(emitCommands(timeline.getBody().front())))
    return failure();
  names.erase(timeline.getIndex());
  return success();
}

LogicalResult Transcriber::run(ImageSchedule &schedule) {
  // 1. What the runtime provides: arenas in one block, scratch per worker.
  alone = program.getWorkers() == 1;
  SizeExpr arenaBytes(0);
  for (sched::ArenaOp arena : program.getArenas()) {
    if (!arena.getBytes())
      return arena.emitError() << "arena '" << arena.getName()
                               << "' has no size: offsets are not assigned";
    arenas[arena.getName()] = arenaBytes;
    arenaBytes = arenaBytes +
                 arena.getBytes()->getExpr().ceilDiv(SizeExpr(blockAlignment)) *
                     SizeExpr(blockAlignment);
  }
  int64_t scratchBytes = program.getScratchBytes();
  for (auto stage : program.getBody().getOps<sched::StageOp>())
    scratchBytes = std::max<int64_t>(scratchBytes, stage.getScratchBytes());
  scratchStride = llvm::alignTo(scratchBytes, blockAlignment);
  schedule.workers = program.getWorkers();
  schedule.arenaBytes = arenaBytes;
  schedule.scratchStride = scratchStride;
  schedule.fromWork = program.getFromWork().value_or(0);

  // 2. The function.
  function = llvm::Function::Create(
      llvm::FunctionType::get(b.getVoidTy(), {ptr, i64}, false),
      llvm::GlobalValue::InternalLinkage,
      "timeline." + entry.name + "." + Twine(schedule.workers), module);
  schedule.timeline = function;
  frame = function->getArg(0);
  frame->setName("frame");
  llvm::Value *worker = function->getArg(1);
  worker->setName("worker");
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));
  scratch = addBytes(loadFrame(3, "scratch"),
                     b.CreateMul(worker, b.getInt64(scratchStride)));
  profiled = b.CreateIsNotNull(loadFrame(9, "profile"));
  if (!entry.symbols.empty()) {
    llvm::Value *symbols = loadFrame(6, "symbols");
    for (auto [i, symbol] : llvm::enumerate(entry.symbols))
      names[symbol.name] =
          loadElement(i64, symbols, static_cast<int64_t>(i), symbol.name);
  }

  // 3. The families. Counters are numbered as workers are, all in a row.
  auto timelines = program.getTimelines();
  for (auto [i, timeline] : llvm::enumerate(timelines)) {
    int64_t first = program.getFirstCounter(timeline.getName());
    counter = worker;
    self = b.CreateSub(worker, b.getInt64(first));
    if (alone && timelines.size() == 1)
      self = b.getInt64(0);
    LogicalResult result = success();
    if (timelines.size() == 1) {
      result = emitFamily(timeline);
    } else {
      llvm::Value *inside = b.CreateAnd(
          b.CreateICmpSGE(self, b.getInt64(0)),
          b.CreateICmpSLT(self, b.getInt64(timeline.getCount())));
      emitIf(inside, [&] { result = emitFamily(timeline); });
    }
    if (failed(result))
      return failure();
  }
  b.CreateRetVoid();
  return success();
}

LogicalResult headrace::transcribeProgram(sched::ProgramOp program,
                                          const ImageEntry &entry,
                                          const Placement &placement,
                                          llvm::Module &module,
                                          ImageSchedule &schedule) {
  return Transcriber(program, entry, placement, module).run(schedule);
}

//===----------------------------------------------------------------------===//
// Disjoint operands
//===----------------------------------------------------------------------===//

/// Whether operands `i` and `k` of a run are different bytes in every
/// iteration.
static bool areDisjoint(sched::RunOp run, unsigned i, unsigned k) {
  sched::BufferOp a = run.getBuffer(i), c = run.getBuffer(k);
  auto sameKind = a.getKind() == c.getKind();
  bool named = a.getKind() == hr::BufferKind::State ||
               a.getKind() == hr::BufferKind::Const;
  if (a != c && sameKind && named) {
    SmallVector<std::string> names = getSlotNames(a);
    return llvm::none_of(getSlotNames(c), [&](const std::string &name) {
      return llvm::is_contained(names, name);
    });
  }
  // Temps that share arena bytes are not alive at the same time.
  if (a != c)
    return !sameKind || a.getKind() == hr::BufferKind::Temp ||
           a.getNumber() != c.getNumber();
  SizeExpr first = cast<hr::SizeAttr>(run.getSlots()[i]).getExpr();
  SizeExpr second = cast<hr::SizeAttr>(run.getSlots()[k]).getExpr();
  if (first == second)
    return false;
  auto repeat = dyn_cast<sched::RepeatOp>(run->getParentOp());
  if (!repeat)
    return first.isConstant() && second.isConstant();
  for (int64_t number = 0; number < static_cast<int64_t>(repeat.getCount());
       ++number) {
    SymbolBindings bindings;
    bindings[repeat.getIndex()] = number;
    std::optional<int64_t> x = first.evaluate(bindings),
                           y = second.evaluate(bindings);
    if (!x || !y || *x == *y)
      return false;
  }
  return true;
}

llvm::StringSet<> headrace::findDisjointStages(ModuleOp module) {
  llvm::StringSet<> disjoint, overlapping;
  module.walk([&](sched::RunOp run) {
    sched::StageOp stage = run.getStageOp();
    disjoint.insert(stage.getFunction());
    unsigned count = run.getBuffers().size();
    for (unsigned i = 0; i < count; ++i)
      for (unsigned k = i + 1; k < count; ++k) {
        auto reads = [&](unsigned n) {
          return cast<hr::AccessAttr>(stage.getAccess()[n]).getValue() ==
                 hr::Access::Read;
        };
        if (!(reads(i) && reads(k)) && !areDisjoint(run, i, k))
          overlapping.insert(stage.getFunction());
      }
  });
  for (const auto &name : overlapping)
    disjoint.erase(name.getKey());
  return disjoint;
}

void headrace::markDisjoint(llvm::Function &function, unsigned numOperands) {
  // lo, hi, scratch, context, operands; of the five arguments of each memref
  // the second is the address that is used.
  for (unsigned i = 0; i < numOperands + 2; ++i) {
    unsigned argument = 2 + 5 * i + 1;
    if (i == 1 || argument >= function.arg_size())
      continue;
    if (function.getArg(argument)->getType()->isPointerTy())
      function.addParamAttr(argument, llvm::Attribute::NoAlias);
  }
}
