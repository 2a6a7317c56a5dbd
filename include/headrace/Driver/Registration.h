//===- Registration.h - All dialects and passes of the compiler -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What hrcc, headrace-opt and the Python binding register. One list, so that a
// dialect or pass that one of them knows is known to all.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DRIVER_REGISTRATION_H
#define HEADRACE_DRIVER_REGISTRATION_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace headrace {

/// Our dialects, upstream's, and the interfaces that connect them.
void registerAllHeadraceDialects(mlir::DialectRegistry &registry);

/// Makes our passes known by name to pass pipelines in textual form.
void registerAllHeadracePasses();

} // namespace headrace
#endif // HEADRACE_DRIVER_REGISTRATION_H
