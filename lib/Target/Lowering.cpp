//===- Lowering.cpp - Stage functions to the LLVM dialect -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Lowering.h"
#include "headrace/Target/MathLibrary.h"
#include "headrace/Target/Passes.h"
#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Support/MathExtras.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace headrace;

std::string headrace::getStageSymbol(StringRef stage) {
  return ("stage." + stage).str();
}

//===----------------------------------------------------------------------===//
// Splitting
//===----------------------------------------------------------------------===//

/// Adds to `needed` the symbols that `op` refers to, and theirs, in the order
/// in which they are met.
static void collectReferences(Operation *op, const SymbolTable &symbols,
                              llvm::SetVector<Operation *> &needed) {
  SmallVector<Operation *> work = {op};
  while (!work.empty()) {
    Operation *next = work.pop_back_val();
    if (!needed.insert(next))
      continue;
    auto visit = [&](Operation *inner) {
      for (NamedAttribute attribute : inner->getAttrs())
        attribute.getValue().walk([&](FlatSymbolRefAttr ref) {
          if (Operation *target = symbols.lookup(ref.getValue()))
            work.push_back(target);
        });
    };
    next->walk(visit);
  }
}

FailureOr<OwningOpRef<ModuleOp>>
headrace::splitStages(ModuleOp module, ArrayRef<StringRef> stages) {
  SymbolTable symbols(module);
  OwningOpRef<ModuleOp> all = ModuleOp::create(module.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(all->getBody());
  for (StringRef name : stages) {
    auto stage = symbols.lookup<func::FuncOp>(name);
    if (!stage || stage.isExternal())
      return emitError(module.getLoc())
             << "no body for stage '" << name << "'";
    llvm::SetVector<Operation *> needed;
    collectReferences(stage, symbols, needed);
    auto one = ModuleOp::create(builder, stage.getLoc());
    OpBuilder inner = OpBuilder::atBlockEnd(one.getBody());
    for (Operation *op : needed)
      inner.clone(*op);
    SymbolTable table(one);
    auto copy = table.lookup<func::FuncOp>(name);
    if (failed(table.rename(copy, getStageSymbol(name))))
      return failure();
    copy.setPublic();
  }
  return all;
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

namespace {
/// Loops that carry most of the vector registers, sums of a register tile, are
/// not unrolled. Steps beside each other share what they load, such as the
/// windows of a convolution, and there is no register to keep it in: sums would
/// go to the stack and back in every step.
struct KeepLoopsThatFillRegisters
    : PassWrapper<KeepLoopsThatFillRegisters, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KeepLoopsThatFillRegisters)
  KeepLoopsThatFillRegisters(int64_t registers, int64_t bits)
      : registers(registers), bits(bits) {}

  void getDependentDialects(DialectRegistry &dialects) const override {
    dialects.insert<LLVM::LLVMDialect>();
  }

  void runOnOperation() override {
    MLIRContext *context = &getContext();
    auto unroll = LLVM::LoopUnrollAttr::get(
        context, BoolAttr::get(context, true), {}, {}, {}, {}, {}, {});
    auto annotation = LLVM::LoopAnnotationAttr::get(
        context, {}, {}, {}, unroll, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {});
    getOperation()->walk([&](scf::ForOp loop) {
      int64_t carried = 0;
      for (Type type : loop.getResultTypes())
        if (auto vector = dyn_cast<VectorType>(type);
            vector && vector.getElementType().isIntOrFloat())
          carried += llvm::divideCeil(vector.getNumElements() *
                                          vector.getElementTypeBitWidth(),
                                      std::max<int64_t>(bits, 1));
      if (registers > 0 && 3 * carried > 2 * registers)
        loop->setAttr("loop_annotation", annotation);
    });
  }

  int64_t registers, bits;
};
} // namespace

void headrace::buildStageLowering(OpPassManager &pm, const Codegen &codegen,
                                  bool debugInfo) {
  // Names of instructions are understood here, and nowhere below.
  {
    TargetLowerAtomsOptions options;
    options.features = codegen.features;
    pm.addPass(createTargetLowerAtoms(options));
  }
  // Our own functions for all that is not one instruction. First, while vectors
  // have the shape they were written with.
  {
    MathExpandFunctionsOptions options;
    options.fma = codegen.fma;
    options.scalef = codegen.scalef;
    pm.addPass(createMathExpandFunctions(options));
  }
  // Transfers that are not a plain vector load become loops over such.
  VectorTransferToSCFOptions transfers;
  transfers.enableFullUnroll();
  pm.addNestedPass<func::FuncOp>(createConvertVectorToSCFPass(transfers));
  // Canonicalizing before expanding, while ops still say what they mean.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createLoopInvariantCodeMotionPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  // Narrow floats are computed in f32: every target then rounds alike. After
  // the canonicalizer, which joins conversions again where that is exact.
  pm.addPass(createTargetWidenFloats());
  {
    // The conversions to and from bf16 are integer arithmetic: hardware's
    // instruction flushes denormals, and without one LLVM calls a function of
    // the compiler's own library.
    arith::ArithExpandOpsPassOptions options;
    options.includeBf16 = true;
    pm.addPass(arith::createArithExpandOpsPass(options));
  }
  pm.addPass(std::make_unique<KeepLoopsThatFillRegisters>(
      codegen.vectorRegisters, codegen.vectorBits));
  pm.addPass(createSCFToControlFlowPass());
  {
    ConvertVectorToLLVMPassOptions options;
    options.reassociateFPReductions = false;
    // Offsets beyond 2^31 are legal.
    options.force32BitVectorIndices = false;
    options.x86Vector = true;
    options.armNeon = true;
    options.vectorContractLowering =
        vector::VectorContractLowering::OuterProduct;
    options.vectorTransposeLowering =
        vector::VectorTransposeLowering::Shuffle1D;
    pm.addPass(createConvertVectorToLLVMPass(options));
  }
  pm.addPass(createConvertMathToLLVMPass());
  // Rounding functions and the like, where the machine has no instruction;
  // anything else fails to link, with its name.
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCSEPass());
  if (debugInfo)
    pm.addPass(LLVM::createDIScopeForLLVMFuncOpPass());
}
