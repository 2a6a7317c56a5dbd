//===- Codegen.cpp - LLVM modules to objects ------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Codegen.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/TargetTransformInfo.h"
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
  if (!device.workers.empty())
    result.vectorBits = device.getWorker().registerBits;
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
