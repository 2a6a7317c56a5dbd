//===- Codegen.h - LLVM modules to objects --------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_CODEGEN_H
#define HEADRACE_LIB_TARGET_CODEGEN_H

#include "headrace/Hardware/System.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include <memory>
#include <string>

namespace headrace {

/// How code is generated for one device.
struct Codegen {
  llvm::Triple triple;
  std::string cpu, features;
  unsigned optLevel = 2;
  /// Widest vector register in bits.
  int64_t vectorBits = 128;
  /// How many of them there are.
  int64_t vectorRegisters = 16;
  /// Whether there is a fused multiply-add.
  bool fma = true;
  /// Whether 16 floats are multiplied by powers of two in one instruction.
  bool scalef = false;

  static Codegen forDevice(const hw::Device &device, unsigned optLevel);

  /// A new one: they are not shared by threads. Null with `error` if LLVM does
  /// not know the target.
  std::unique_ptr<llvm::TargetMachine>
  createTargetMachine(std::string &error) const;

  /// Gives all functions that have a body their attributes, hides them, and
  /// sets what belongs to the target.
  void prepare(llvm::Module &module, llvm::TargetMachine &machine) const;
  /// Runs LLVM's optimizations.
  void optimize(llvm::Module &module, llvm::TargetMachine &machine) const;
};

/// Writes object code or assembly.
mlir::LogicalResult emitCode(llvm::Module &module, llvm::TargetMachine &machine,
                             bool assembly, llvm::SmallVectorImpl<char> &bytes,
                             std::string &error);

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_CODEGEN_H
