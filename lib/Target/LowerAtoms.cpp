//===- LowerAtoms.cpp - From atoms to instructions ------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one place that knows what the `instruction` of an atom is. Vectors stay
// vectors; a fragment becomes the machine's own type, also where loops carry
// it, so that sums stay in tile registers.
//
//===----------------------------------------------------------------------===//
#include "Atoms.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Target/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace headrace {
#define GEN_PASS_DEF_TARGETLOWERATOMS
#include "headrace/Target/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;

//===----------------------------------------------------------------------===//
// What there is
//===----------------------------------------------------------------------===//

static const AtomInstruction instructions[] = {
    {"vector.fma", "", 0, 0, 0, ""},
    {"x86.vdpbf16ps", "x86_64", 1, 16, 2,
     "llvm.x86.avx512bf16.dpbf16ps.512",
     "llvm.x86.avx512bf16.cvtne2ps2bf16.512", "avx512bf16"},
    {"x86.tdpbf16ps", "x86_64", 16, 16, 32, "llvm.x86.tdpbf16ps.internal",
     "llvm.x86.avx512bf16.cvtne2ps2bf16.512", "avx512bf16"},
    {"x86.tdpbssd", "x86_64", 16, 16, 64, "llvm.x86.tdpbssd.internal"},
    {"x86.tdpbusd", "x86_64", 16, 16, 64, "llvm.x86.tdpbusd.internal"},
};

const AtomInstruction *headrace::findAtomInstruction(StringRef name) {
  for (const AtomInstruction &instruction : instructions)
    if (instruction.name == name)
      return &instruction;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

namespace {
class AtomLowering {
public:
  explicit AtomLowering(StringRef cpuFeatures) {
    cpuFeatures.split(features, ',');
  }

  LogicalResult lower(Operation *op) {
    OpBuilder builder(op);
    b = &builder;
    loc = op->getLoc();
    if (auto dot = dyn_cast<hr::GroupDotOp>(op))
      return lowerDot(dot);
    if (auto round = dyn_cast<hr::GroupRoundOp>(op))
      return lowerRound(round);
    // Types have been converted already: operands are not asked for theirs.
    if (isa<hr::FragmentZeroOp>(op))
      return replace(op, call("llvm.x86.tilezero.internal",
                              getShape(op->getResult(0))));
    if (auto load = dyn_cast<hr::FragmentLoadOp>(op)) {
      SmallVector<Value> args = getShape(op->getResult(0));
      addAddress(args, load.getMemref(), load.getAt(), load.getStride());
      return replace(op, call("llvm.x86.tileloadd64.internal", args));
    }
    if (auto store = dyn_cast<hr::FragmentStoreOp>(op)) {
      SmallVector<Value> args = getShape(op->getOperand(0));
      addAddress(args, store.getMemref(), store.getAt(), store.getStride());
      args.push_back(op->getOperand(0));
      LLVM::CallIntrinsicOp::create(
          *b, loc, b->getStringAttr("llvm.x86.tilestored64.internal"), args);
      op->erase();
      return success();
    }
    return lowerMultiply(cast<hr::FragmentMultiplyOp>(op));
  }

private:
  FailureOr<const AtomInstruction *> find(Operation *op, StringRef name) {
    const AtomInstruction *instruction = findAtomInstruction(name);
    if (!instruction || instruction->intrinsic.empty())
      return op->emitOpError() << "has the unknown instruction '" << name << "'";
    return instruction;
  }

  LogicalResult lowerDot(hr::GroupDotOp op) {
    FailureOr<const AtomInstruction *> instruction =
        find(op, op.getInstruction());
    if (failed(instruction))
      return failure();
    auto type = cast<VectorType>(op.getAcc().getType());
    if (type.getDimSize(0) != (*instruction)->n)
      return op.emitOpError() << "expected sums of " << (*instruction)->n
                              << " lanes but got " << type;
    Value result = LLVM::CallIntrinsicOp::create(
                       *b, loc, op.getType(),
                       b->getStringAttr((*instruction)->intrinsic),
                       ValueRange{op.getAcc(), op.getLhs(), op.getRhs()})
                       .getResult(0);
    return replace(op, result);
  }

  LogicalResult lowerRound(hr::GroupRoundOp op) {
    FailureOr<const AtomInstruction *> instruction =
        find(op, op.getInstruction());
    if (failed(instruction))
      return failure();
    auto type = cast<VectorType>(op.getType());
    int64_t parts = op.getParts().size();
    int64_t lanes = type.getNumElements() / parts;
    Value inOrder;
    if (!(*instruction)->rounding.empty() && parts == 2 &&
        lanes == (*instruction)->n &&
        llvm::is_contained(features,
                           ("+" + (*instruction)->roundingFeature).str())) {
      inOrder = LLVM::CallIntrinsicOp::create(
                    *b, loc, type, b->getStringAttr((*instruction)->rounding),
                    ValueRange{op.getParts()[1], op.getParts()[0]})
                    .getResult(0);
    } else {
      SmallVector<Value> rounded;
      for (Value part : op.getParts())
        rounded.push_back(arith::TruncFOp::create(
            *b, loc, VectorType::get({lanes}, type.getElementType()), part));
      inOrder = rounded[0];
      SmallVector<int64_t> join;
      for (int64_t j = 1; j < parts; ++j) {
        join = llvm::to_vector(llvm::seq<int64_t>((j + 1) * lanes));
        inOrder = vector::ShuffleOp::create(*b, loc, inOrder, rounded[j], join);
      }
    }
    SmallVector<int64_t> turns;
    for (int64_t i = 0; i < lanes; ++i)
      for (int64_t j = 0; j < parts; ++j)
        turns.push_back(j * lanes + i);
    return replace(
        op, vector::ShuffleOp::create(*b, loc, inOrder, inOrder, turns));
  }

  LogicalResult lowerMultiply(hr::FragmentMultiplyOp op) {
    FailureOr<const AtomInstruction *> instruction =
        find(op, op.getInstruction());
    if (failed(instruction))
      return failure();
    Value operands[] = {op->getOperand(0), op->getOperand(1),
                        op->getOperand(2)};
    hr::FragmentType lhs = shapes.lookup(operands[0]),
                     acc = shapes.lookup(operands[2]);
    // Rows of the left side, bytes of a row of the right side and of the left.
    Value args[] = {constant16(acc.getRows()),
                    constant16(acc.getColumns() * bytesOf(acc)),
                    constant16(lhs.getColumns() * bytesOf(lhs)),
                    operands[2],
                    operands[0],
                    operands[1]};
    return replace(op, call((*instruction)->intrinsic, args));
  }

  Value call(StringRef intrinsic, ValueRange args) {
    return LLVM::CallIntrinsicOp::create(
               *b, loc, LLVM::LLVMX86AMXType::get(b->getContext()),
               b->getStringAttr(intrinsic), args)
        .getResult(0);
  }

  static int64_t bytesOf(hr::FragmentType type) {
    return getElementBytes(type.getElementType());
  }
  Value constant16(int64_t value) {
    return arith::ConstantOp::create(*b, loc, b->getI16IntegerAttr(value));
  }
  SmallVector<Value> getShape(Value fragment) {
    hr::FragmentType type = shapes.lookup(fragment);
    return {constant16(type.getRows()),
            constant16(type.getColumns() * bytesOf(type))};
  }

  /// Pointer and stride in bytes.
  void addAddress(SmallVectorImpl<Value> &args, Value memref, Value at,
                  Value stride) {
    Type i64 = b->getI64Type();
    int64_t bytes =
        getElementBytes(cast<MemRefType>(memref.getType()).getElementType());
    Value size = arith::ConstantIndexOp::create(*b, loc, bytes);
    Value base =
        memref::ExtractAlignedPointerAsIndexOp::create(*b, loc, memref);
    Value address = arith::AddIOp::create(
        *b, loc, base, arith::MulIOp::create(*b, loc, at, size));
    address = arith::IndexCastOp::create(*b, loc, i64, address);
    args.push_back(LLVM::IntToPtrOp::create(
        *b, loc, LLVM::LLVMPointerType::get(b->getContext()), address));
    Value step = arith::MulIOp::create(*b, loc, stride, size);
    args.push_back(arith::IndexCastOp::create(*b, loc, i64, step));
  }

  LogicalResult replace(Operation *op, Value value) {
    if (hr::FragmentType type = shapes.lookup(op->getResult(0)))
      shapes[value] = type;
    op->getResult(0).replaceAllUsesWith(value);
    op->erase();
    return success();
  }

  OpBuilder *b = nullptr;
  Location loc = UnknownLoc();
  SmallVector<StringRef> features;

public:
  /// The type that a converted value had.
  DenseMap<Value, hr::FragmentType> shapes;
};

struct LowerAtomsPass
    : headrace::impl::TargetLowerAtomsBase<LowerAtomsPass> {
  using TargetLowerAtomsBase::TargetLowerAtomsBase;

  void runOnOperation() override {
    SmallVector<Operation *> atoms;
    AtomLowering lowering(features.getValue());
    Type tile = LLVM::LLVMX86AMXType::get(&getContext());
    auto convert = [&](Value value) {
      if (auto type = dyn_cast<hr::FragmentType>(value.getType())) {
        lowering.shapes[value] = type;
        value.setType(tile);
      }
    };
    getOperation()->walk([&](Operation *op) {
      for (Value result : op->getResults())
        convert(result);
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (Value argument : block.getArguments())
            convert(argument);
      if (isa<hr::GroupDotOp, hr::GroupRoundOp, hr::FragmentZeroOp, hr::FragmentLoadOp,
              hr::FragmentMultiplyOp, hr::FragmentStoreOp>(op))
        atoms.push_back(op);
    });
    for (Operation *op : atoms)
      if (failed(lowering.lower(op)))
        return signalPassFailure();
  }
};
} // namespace
