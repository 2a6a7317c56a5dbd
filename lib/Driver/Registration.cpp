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
#include "headrace/Conversion/Passes.h"
#include "headrace/Dialect/Aten/Aten.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Dialect/HW/HW.h"
#include "headrace/Dialect/Sched/Sched.h"
#include "headrace/Evaluate/Passes.h"
#include "headrace/Graph/Passes.h"
#include "headrace/Import/Passes.h"
#include "headrace/Plan/Passes.h"
#include "headrace/Schedule/Passes.h"
#include "headrace/Target/MathLibrary.h"
#include "headrace/Target/Passes.h"
#include "headrace/Target/Target.h"
#include "headrace/Tile/Passes.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"

using namespace mlir;
using namespace headrace;

void headrace::registerAllHeadraceDialects(DialectRegistry &registry) {
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registry.insert<hr::HRDialect>();
  hr::registerTileableModels(registry);
  registry.insert<aten::AtenDialect>();
  registry.insert<hw::HWDialect>();
  registry.insert<sched::SchedDialect>();
  registerTargetDialects(registry);
}

void headrace::registerAllHeadracePasses() {
  registerImportPasses();
  headrace::registerConversionPasses();
  headrace::registerEvaluatePasses();
  headrace::registerGraphPasses();
  headrace::registerPlanPasses();
  headrace::registerTilePasses();
  headrace::registerSchedulePasses();
  headrace::registerMathPasses();
  headrace::registerTargetPasses();
}
