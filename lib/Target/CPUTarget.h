//===- CPUTarget.h - x86-64 and AArch64 through LLVM ----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_CPUTARGET_H
#define HEADRACE_LIB_TARGET_CPUTARGET_H

#include "headrace/Target/Target.h"

namespace headrace {

class CPUTarget : public Target {
public:
  llvm::StringRef getName() const override { return "cpu"; }
  bool claims(const hw::Device &device) const override;
  bool emits(const hw::Device &device, const hw::Atom &atom) const override;
  mlir::LogicalResult emit(mlir::ModuleOp module, const hw::System &system,
                           const TargetOptions &options,
                           ArtifactInfo *info) const override;
};

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_CPUTARGET_H
