//===- Registration.cpp - All dialects and passes of the compiler ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The two lists of Registration.h.
//
//===----------------------------------------------------------------------===//
#include "headrace/Driver/Registration.h"
#include "headrace/Dialect/HR/HR.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"

#ifdef HEADRACE_HAVE_ATEN
#include "headrace/Dialect/Aten/Aten.h"
#endif
#ifdef HEADRACE_HAVE_HW
#include "headrace/Dialect/HW/HW.h"
#endif
#ifdef HEADRACE_HAVE_IMPORT
#include "headrace/Import/Passes.h"
#endif
#ifdef HEADRACE_HAVE_SCHED
#include "headrace/Dialect/Sched/Sched.h"
#endif
#ifdef HEADRACE_HAVE_CONVERSION
#include "headrace/Conversion/Passes.h"
#endif
#ifdef HEADRACE_HAVE_TRANSFORMS
#include "headrace/Transforms/Passes.h"
#endif
#ifdef HEADRACE_HAVE_SCHEDULE
#include "headrace/Schedule/Passes.h"
#endif
#ifdef HEADRACE_HAVE_TARGET
#include "headrace/Target/MathLibrary.h"
#include "headrace/Target/Target.h"
#endif

using namespace mlir;
using namespace headrace;

void headrace::registerAllHeadraceDialects(DialectRegistry &registry) {
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registry.insert<hr::HRDialect>();
#ifdef HEADRACE_HAVE_ATEN
  registry.insert<aten::AtenDialect>();
#endif
#ifdef HEADRACE_HAVE_HW
  registry.insert<hw::HWDialect>();
#endif
#ifdef HEADRACE_HAVE_SCHED
  registry.insert<sched::SchedDialect>();
#endif
#ifdef HEADRACE_HAVE_TARGET
  registerTargetDialects(registry);
#endif
}

void headrace::registerAllHeadracePasses() {
#ifdef HEADRACE_HAVE_IMPORT
  registerImportPasses();
#endif
#ifdef HEADRACE_HAVE_CONVERSION
  headrace::registerConversionPasses();
#endif
#ifdef HEADRACE_HAVE_TRANSFORMS
  headrace::registerTransformsPasses();
#endif
#ifdef HEADRACE_HAVE_SCHEDULE
  headrace::registerSchedulePasses();
#endif
#ifdef HEADRACE_HAVE_TARGET
  headrace::registerMathPasses();
#endif
}
