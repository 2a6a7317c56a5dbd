//===- SchedEnums.td - Enums of the sched dialect ----------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Apart from SchedOps.td, because enums are generated for all that a file
// includes.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_SCHED_SCHEDENUMS
#define HEADRACE_DIALECT_SCHED_SCHEDENUMS

include "mlir/IR/EnumAttr.td"

def Sched_TimelineKind : I32EnumAttr<"TimelineKind", "who executes a timeline", [
  I32EnumAttrCase<"Worker", 0, "worker">, I32EnumAttrCase<"Mover", 1, "mover">]> {
  let cppNamespace = "::headrace::sched";
  let genSpecializedAttr = 0;
}

def Sched_StoreClass : I32EnumAttr<"StoreClass", "how a stage's stores behave", [
  I32EnumAttrCase<"Normal", 0, "normal">,
  I32EnumAttrCase<"NonTemporal", 1, "non_temporal">,
  I32EnumAttrCase<"Async", 2, "async">]> {
  let cppNamespace = "::headrace::sched";
  let genSpecializedAttr = 0;
}

#endif // HEADRACE_DIALECT_SCHED_SCHEDENUMS
