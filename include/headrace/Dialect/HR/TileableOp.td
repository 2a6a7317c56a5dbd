//===- TileableOp.td - What planning asks of an operation -----*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_HR_TILEABLEOP
#define HEADRACE_DIALECT_HR_TILEABLEOP

include "mlir/IR/OpBase.td"

def HR_TileableOpInterface : OpInterface<"TileableOp"> {
  let cppNamespace = "::headrace::hr";
  let description = [{
    An operation that computes elements in a nest of loops: all that analysis,
    planner and tiling ask of it, on linalg's operations and on hr's alike. None
    of them asks which operation it is. docs/adding-an-operation.md says what
    else a new one needs.
  }];
  let methods = [
    InterfaceMethod<[{
        The shape of the nest that computes it; the leaf emitter is chosen by it.
      }],
      "::headrace::hr::NestKind", "getNestKind">,
    InterfaceMethod<[{
        The loops, outermost first. Fails if a size cannot be traced.
      }],
      "::mlir::FailureOr<::llvm::SmallVector<::headrace::hr::TileLoop>>",
      "getTileLoops">,
    InterfaceMethod<[{
        The operands that are read at positions which the loops say, in the
        order in which the leaf emitter counts them.
      }],
      "::llvm::SmallVector<::headrace::hr::TileRead>", "getTileReads">,
    InterfaceMethod<[{
        The operand that is read at positions which are data, or that is
        overwritten in place: there is at most one.
      }],
      "::std::optional<::headrace::hr::TileRegion>", "getTileRegion",
      (ins), "", [{ return ::std::nullopt; }]>,
    InterfaceMethod<[{
        The loop along which each dimension of a result runs; empty for results
        that are the overwritten operand.
      }],
      "::llvm::SmallVector<unsigned>", "getResultLoops",
      (ins "unsigned":$result)>,
    InterfaceMethod<[{
        What one point of the loops costs.
      }],
      "::headrace::hr::PointCost", "getPointCost">,
    InterfaceMethod<[{
        Of an operation that sums products, what is multiplied; an atom for these
        types may do it.
      }],
      "::std::optional<::headrace::hr::ProductTypes>", "getProductTypes",
      (ins), "", [{ return ::std::nullopt; }]>,
    InterfaceMethod<[{
        Whether there is a monoid that merges partial results: what parts of the
        loops that are not parallel give apart can be put together, in any
        grouping, with a neutral element for a part that is empty.
      }],
      "bool", "mergesPartialResults", (ins), "", [{ return false; }]>,
    InterfaceMethod<[{
        Whether the read of this number (of getTileReads) comes from memory: the
        value must be stored before, and cannot be computed where it is read.
      }],
      "bool", "readsFromMemory", (ins "unsigned":$read), "",
      [{ return true; }]>,
    InterfaceMethod<[{
        A word for the names of stages; empty for what every stage has.
      }],
      "::llvm::StringRef", "getStageWord">
  ];
}

#endif // HEADRACE_DIALECT_HR_TILEABLEOP
