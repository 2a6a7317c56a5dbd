//===- Harness.h - What the fuzzers of the reader share -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TOOLS_HEADRACE_FUZZ_IMPORT_HARNESS_H
#define HEADRACE_TOOLS_HEADRACE_FUZZ_IMPORT_HARNESS_H

#include "headrace/Conversion/Passes.h"
#include "headrace/Dialect/Aten/Aten.h"
#include "headrace/Import/ImportBytes.h"
#include "headrace/Import/Passes.h"
#include "mlir/Pass/PassManager.h"
#include <cstdlib>
#include <memory>

namespace headrace {

/// Runs `import` in a context whose diagnostics go nowhere, then the passes that
/// believe what was read. What the reader accepts must verify, and reading must either fail
/// with an error or succeed without one.
template <typename Import>
void fuzzOnce(Import import) {
  // Making a context costs more than most inputs; attributes pile up in it.
  static std::unique_ptr<mlir::MLIRContext> context;
  static unsigned uses = 0;
  if (!context || ++uses % 256 == 0) {
    context = std::make_unique<mlir::MLIRContext>(
        mlir::MLIRContext::Threading::DISABLED);
  }
  unsigned errors = 0;
  mlir::ScopedDiagnosticHandler handler(
      context.get(), [&](mlir::Diagnostic &diagnostic) {
        errors += diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error;
        return mlir::success();
      });
  context->getOrLoadDialect<hr::HRDialect>()->setWeights(
      std::make_shared<WeightStore>());
  mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> module =
      import(context.get());
  if (mlir::failed(module) != (errors != 0))
    abort();
  if (mlir::failed(module))
    return;
  mlir::PassManager passes(context.get());
  FunctionalizePassOptions functionalize;
  functionalize.leaveObstacles = true;
  passes.addPass(createFunctionalizePass(functionalize));
  passes.addPass(createConvertToTensorPass());
  if (mlir::failed(passes.run(**module)) != (errors != 0))
    abort();
}

} // namespace headrace
#endif // HEADRACE_TOOLS_HEADRACE_FUZZ_IMPORT_HARNESS_H
