//===- Codegen.cpp - LLVM modules to objects ------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Codegen.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetOptions.h"

using namespace mlir;
using namespace headrace;

Codegen Codegen::forDevice(const hw::Device &device, unsigned optLevel) {
  Codegen result;
  result.triple = llvm::Triple(llvm::Triple::normalize(device.triple));
  result.cpu = device.cpu;
  result.features = device.getFeatureString();
  result.optLevel = optLevel;
  result.fma = !result.triple.isX86() || device.hasFeature("fma");
  result.scalef = result.triple.isX86() && device.hasFeature("avx512f");
  if (!device.workers.empty()) {
    result.vectorBits = device.getWorker().registerBits;
    result.vectorRegisters = device.getWorker().registers;
  }
  return result;
}

std::unique_ptr<llvm::TargetMachine>
Codegen::createTargetMachine(std::string &error) const {
  static const bool initialized = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    llvm::InitializeAllAsmParsers();
    return true;
  }();
  (void)initialized;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  llvm::TargetOptions options;
  // A multiply and an add are fused where the program says so, nowhere else.
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  options.FunctionSections = true;
  options.DataSections = true;
  options.UniqueSectionNames = true;
  auto level = optLevel == 0   ? llvm::CodeGenOptLevel::Less
               : optLevel == 1 ? llvm::CodeGenOptLevel::Default
               : optLevel == 2 ? llvm::CodeGenOptLevel::Default
                               : llvm::CodeGenOptLevel::Aggressive;
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, cpu, features, options, llvm::Reloc::PIC_,
      llvm::CodeModel::Small, level));
  if (!machine)
    error = "LLVM has no code generator for " + triple.str();
  return machine;
}

/// Makes every llvm.fmuladd ("fused if that is faster", what vector.fma becomes)
/// an llvm.fma: where the schedule asks for a fused operation, it gets one.
static void fuseMultiplyAdds(llvm::Module &module) {
  SmallVector<llvm::IntrinsicInst *> calls;
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *call = dyn_cast<llvm::IntrinsicInst>(&instruction);
          call && call->getIntrinsicID() == llvm::Intrinsic::fmuladd)
        calls.push_back(call);
  for (llvm::IntrinsicInst *call : calls)
    call->setCalledFunction(llvm::Intrinsic::getOrInsertDeclaration(
        &module, llvm::Intrinsic::fma, {call->getType()}));
}

/// The only lane that a constant mask lets through.
static std::optional<unsigned> findOnlyLane(const llvm::Constant &mask) {
  auto *type = dyn_cast<llvm::FixedVectorType>(mask.getType());
  if (!type)
    return std::nullopt;
  std::optional<unsigned> lane;
  for (unsigned i = 0; i < type->getNumElements(); ++i) {
    auto *bit =
        dyn_cast_or_null<llvm::ConstantInt>(mask.getAggregateElement(i));
    if (!bit || (bit->isOne() && lane))
      return std::nullopt;
    if (bit->isOne())
      lane = i;
  }
  return lane;
}

/// Makes every masked store of one known lane a store of that element. LLVM's
/// x86 selection would do it too, but where the vector comes from a truncation
/// (i32 to i16 or i8, i64 to i32) it stores the element before that, with bytes
/// beyond its place (seen with LLVM 22).
static void storeOnlyLanes(llvm::Module &module) {
  SmallVector<llvm::CallInst *> stores;
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *call = dyn_cast<llvm::IntrinsicInst>(&instruction);
          call && call->getIntrinsicID() == llvm::Intrinsic::masked_store)
        stores.push_back(call);
  for (llvm::CallInst *store : stores) {
    auto *mask = dyn_cast<llvm::Constant>(store->getArgOperand(2));
    std::optional<unsigned> lane;
    if (mask)
      lane = findOnlyLane(*mask);
    if (!lane)
      continue;
    llvm::IRBuilder<> b(store);
    llvm::Value *element =
        b.CreateExtractElement(store->getArgOperand(0), uint64_t(*lane));
    llvm::Value *place = b.CreateConstInBoundsGEP1_64(
        element->getType(), store->getArgOperand(1), *lane);
    unsigned bytes = element->getType()->getScalarSizeInBits() / 8;
    llvm::Align align = llvm::commonAlignment(
        store->getParamAlign(1).valueOrOne(), uint64_t(*lane) * bytes);
    b.CreateAlignedStore(element, place, align);
    store->eraseFromParent();
  }
}

/// Puts signs of what is narrowed next by arithmetic on bits. LLVM's selection
/// moves the narrowing before the copysign and then narrows the operand that the
/// sign comes from, too: of an f64 to an f16, where x86 has no instruction for it,
/// by a function that only compilers' libraries have (seen with LLVM 22).
static void expandSigns(llvm::Module &module) {
  SmallVector<llvm::CallInst *> calls;
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *call = dyn_cast<llvm::IntrinsicInst>(&instruction);
          call && call->getIntrinsicID() == llvm::Intrinsic::copysign &&
          llvm::any_of(call->users(), [](const llvm::User *user) {
            return isa<llvm::FPTruncInst>(user);
          }))
        calls.push_back(call);
  for (llvm::CallInst *call : calls) {
    llvm::IRBuilder<> b(call);
    llvm::Type *type = call->getType();
    unsigned bits = type->getScalarSizeInBits();
    llvm::Type *integer = type->getWithNewType(b.getIntNTy(bits));
    auto *sign = llvm::ConstantInt::get(integer, llvm::APInt::getSignMask(bits));
    auto *rest =
        llvm::ConstantInt::get(integer, llvm::APInt::getSignedMaxValue(bits));
    llvm::Value *magnitude =
        b.CreateAnd(b.CreateBitCast(call->getArgOperand(0), integer), rest);
    llvm::Value *from =
        b.CreateAnd(b.CreateBitCast(call->getArgOperand(1), integer), sign);
    call->replaceAllUsesWith(
        b.CreateBitCast(b.CreateOr(magnitude, from), type));
    call->eraseFromParent();
  }
}

void Codegen::prepare(llvm::Module &module,
                      llvm::TargetMachine &machine) const {
  if (fma)
    fuseMultiplyAdds(module);
  module.setTargetTriple(triple);
  module.setDataLayout(machine.createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  for (llvm::GlobalObject &object : module.global_objects()) {
    if (object.hasLocalLinkage())
      continue;
    if (object.getVisibility() == llvm::GlobalValue::DefaultVisibility &&
        !object.isDeclaration())
      object.setVisibility(llvm::GlobalValue::HiddenVisibility);
  }
  for (llvm::Function &function : module) {
    if (function.isIntrinsic())
      continue;
    // Nothing throws: no unwind tables. Stages may be called from C, so the
    // stack is as any function's.
    function.addFnAttr(llvm::Attribute::NoUnwind);
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", cpu);
    // LLVM's guess of the machine at hand may be wrong (virtual machines
    // report models that they are not); features say what there is.
    function.addFnAttr("tune-cpu", "generic");
    function.addFnAttr("target-features", features);
    function.addFnAttr("frame-pointer", "none");
    function.addFnAttr("no-trapping-math", "true");
    if (triple.isX86() && vectorBits > 0) {
      function.addFnAttr("prefer-vector-width", std::to_string(vectorBits));
      function.addFnAttr("min-legal-vector-width", std::to_string(vectorBits));
      // Sums that find no register lie on the stack: no vector of it crosses a
      // line of the cache.
      if (vectorBits > 128)
        function.addFnAttr("stackrealign");
    }
  }
}

void Codegen::optimize(llvm::Module &module,
                       llvm::TargetMachine &machine) const {
  llvm::PipelineTuningOptions tuning;
  // Stages are vectorized when they get here; what is scalar in them is meant
  // to be, or is a plain loop of -O0.
  tuning.SLPVectorization = false;
  tuning.LoopVectorization = optLevel > 0;
  tuning.LoopInterleaving = optLevel > 0;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::LoopAnalysisManager lam;
  llvm::FunctionAnalysisManager fam;
  llvm::CGSCCAnalysisManager cgam;
  llvm::ModuleAnalysisManager mam;
  builder.registerModuleAnalyses(mam);
  builder.registerCGSCCAnalyses(cgam);
  builder.registerFunctionAnalyses(fam);
  builder.registerLoopAnalyses(lam);
  builder.crossRegisterProxies(lam, fam, cgam, mam);
  auto level = optLevel == 0   ? llvm::OptimizationLevel::O1
               : optLevel == 3 ? llvm::OptimizationLevel::O3
                               : llvm::OptimizationLevel::O2;
  builder.buildPerModuleDefaultPipeline(level).run(module, mam);
  storeOnlyLanes(module);
  expandSigns(module);
}

LogicalResult headrace::emitCode(llvm::Module &module,
                                 llvm::TargetMachine &machine, bool assembly,
                                 SmallVectorImpl<char> &bytes,
                                 std::string &error) {
  llvm::raw_svector_ostream os(bytes);
  llvm::legacy::PassManager pm;
  pm.add(new llvm::TargetLibraryInfoWrapperPass(machine.getTargetTriple()));
  if (machine.addPassesToEmitFile(pm, os, nullptr,
                                  assembly
                                      ? llvm::CodeGenFileType::AssemblyFile
                                      : llvm::CodeGenFileType::ObjectFile)) {
    error = "LLVM cannot emit code for " + machine.getTargetTriple().str();
    return failure();
  }
  pm.run(module);
  return success();
}
