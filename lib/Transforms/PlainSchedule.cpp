//===- PlainSchedule.cpp - One worker, no reuse of memory -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Dialect/Sched/Sched.h"
#include "headrace/Transforms/Passes.h"

using namespace mlir;
using namespace headrace;

namespace {
struct PlainSchedule : PassWrapper<PlainSchedule, OperationPass<ModuleOp>> {
  StringRef getArgument() const override { return "hr-plain-schedule"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<sched::SchedDialect>();
  }
  void runOnOperation() override {
    MLIRContext *ctx = &getContext();
    OpBuilder b(ctx);
    for (auto func : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (!hr::isEntry(func))
        continue;
      b.setInsertionPointAfter(func);
      int64_t scratch = 0;
      func.walk([&](hr::RunOp run) {
        scratch = std::max<int64_t>(scratch, run.getScratchBytes());
      });
      auto program = sched::ProgramOp::create(
          b, func.getLoc(), (func.getName() + "_1").str(), func.getName(), 1,
          func->getAttrOfType<ArrayAttr>("hr.symbols"), scratch,
          DictionaryAttr());
      b.createBlock(&program.getBody());
      auto arena = sched::ArenaOp::create(b, func.getLoc(), "dram",
                                          hr::SizeAttr(), hr::SizeAttr());
      SizeExpr at(0);
      DenseMap<Value, Value> map;
      func.walk([&](hr::BufferOp op) {
        StringAttr arenaName;
        hr::SizeAttr offset, stride;
        Type type = cast<hr::BufferType>(op.getType()).getElementType();
        SizeExpr bytes(getElementBytes(type));
        for (const SizeExpr &d : hr::getSizes(op.getDims()))
          bytes = bytes * d;
        bytes = bytes.ceilDiv(64) * SizeExpr(64);
        if (op.getKind() == hr::BufferKind::Temp) {
          arenaName = b.getStringAttr("dram");
          offset = hr::SizeAttr::get(ctx, at);
          stride = hr::SizeAttr::get(ctx, bytes);
          at = at + bytes * SizeExpr(int64_t(op.getSlots()));
        }
        map[op] = sched::BufferOp::create(
            b, op.getLoc(), sched::BufferType::get(ctx), op.getKindAttr(),
            op.getNumberAttr(), op.getSymbolsAttr(), op.getSlotsAttr(),
            op.getDimsAttr(), TypeAttr::get(type), op.getAlignAttr(),
            arenaName, offset, stride, UnitAttr());
      });
      arena.setBytesAttr(hr::SizeAttr::get(ctx, at));
      DenseSet<StringRef> seen;
      func.walk([&](hr::RunOp run) {
        if (!seen.insert(run.getStage()).second)
          return;
        sched::StageOp::create(
            b, run.getLoc(), b.getStringAttr(run.getStage()),
            run.getStageAttr(), run.getGridAttr(), run.getAccessAttr(),
            run.getFootprintsAttr(), run.getSymbolsAttr(),
            run.getScratchBytesAttr(),
            sched::StoreClassAttr::get(ctx, sched::StoreClass::Normal),
            run.getFlopsAttr(), run.getAtomAttr());
      });
      auto timeline = sched::TimelineOp::create(
          b, func.getLoc(), b.getStringAttr("core"), b.getStringAttr("w"),
          b.getI64IntegerAttr(1),
          sched::TimelineKindAttr::get(ctx, sched::TimelineKind::Worker));
      Block *body = b.createBlock(&timeline.getBody());
      std::function<void(Block &, Block *)> emit = [&](Block &from,
                                                       Block *to) {
        for (Operation &op : from) {
          b.setInsertionPointToEnd(to);
          if (auto loop = dyn_cast<hr::LoopOp>(op)) {
            auto repeat = sched::RepeatOp::create(
                b, op.getLoc(), loop.getCountAttr(), b.getStringAttr("i"));
            Block *inner = b.createBlock(&repeat.getBody());
            emit(loop.getBody().front(), inner);
            continue;
          }
          auto run = dyn_cast<hr::RunOp>(op);
          if (!run)
            continue;
          SizeExpr tiles(1);
          for (const SizeExpr &d : hr::getSizes(run.getGrid()))
            tiles = tiles * d;
          SmallVector<Value> buffers;
          for (Value v : run.getOperands_())
            buffers.push_back(map[v]);
          SmallVector<SizeExpr> slots;
          for (AffineMap slot :
               run.getSlots().getAsValueRange<AffineMapAttr>()) {
            AffineExpr expr = slot.getResult(0);
            SizeExpr i = SizeExpr::symbol("i");
            if (auto c = dyn_cast<AffineConstantExpr>(expr))
              slots.push_back(c.getValue());
            else if (auto d = dyn_cast<AffineDimExpr>(expr))
              slots.push_back(i);
            else {
              auto mod = cast<AffineBinaryOpExpr>(expr);
              SizeExpr inner = isa<AffineDimExpr>(mod.getLHS())
                                   ? i
                                   : i + SizeExpr(1);
              slots.push_back(inner.mod(SizeExpr(2)));
            }
          }
          sched::RunOp::create(
              b, run.getLoc(), b.getStringAttr(run.getStage()),
              hr::SizeAttr::get(ctx, SizeExpr(0)),
              hr::SizeAttr::get(ctx, tiles), buffers,
              hr::getSizeArrayAttr(ctx, slots), b.getI64IntegerAttr(1),
              StringAttr());
        }
      };
      emit(func.getBody().front(), body);
      // The entry is a declaration from here on.
      func->setAttr("hr.entry", b.getUnitAttr());
      func.getBody().dropAllReferences();
      func.getBody().getBlocks().clear();
      func.setPrivate();
    }
  }
};
} // namespace

namespace headrace {
std::unique_ptr<Pass> createPlainSchedulePass() {
  return std::make_unique<PlainSchedule>();
}
} // namespace headrace
