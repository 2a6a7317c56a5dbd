//===- Evaluate.h - Runs the tensor level on the host ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An evaluator of the `tensor` phase: structured ops, hr ops and the scalar
// arithmetic in their bodies, over tensors in memory. Constant folding runs in
// it, and the tests of the tensor passes compare a program with itself before
// and after a pass.
//
// Its meaning is fixed: every operation rounds once, in the type it names;
// sums run in the order of the reduction's index; nothing depends on the host
// or on what LLVM makes of it. So folded bytes are the same on every host.
// Functions of the math dialect that IEEE does not define exactly (exp, tanh,
// ...) are those of our own library, written out as exact operations; the C
// library's, if `hostMath` asks for them, which only tests do.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_EVALUATE_EVALUATE_H
#define HEADRACE_EVALUATE_EVALUATE_H

#include "headrace/Dialect/HR/HRUtils.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include <memory>
#include <string>

namespace headrace {

/// A tensor in memory: row-major, contiguous, stored as buffers are (bool is
/// one byte). Copies share the bytes.
struct HostTensor {
  mlir::Type elementType;
  llvm::SmallVector<int64_t> shape;
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<const void> owner;

  /// Zeroed memory of its own; `data` may be written until it is shared.
  static HostTensor allocate(mlir::Type elementType,
                             llvm::ArrayRef<int64_t> shape, char *&data);
  int64_t getNumElements() const;
};

/// Evaluates ops one after the other, keeping the tensors it has seen.
class Evaluator {
public:
  Evaluator(const WeightStore &weights, SymbolBindings symbols,
            bool hostMath = false)
      : weights(weights), symbols(std::move(symbols)), hostMath(hostMath) {}

  /// Gives `value` its tensor.
  void bind(mlir::Value value, HostTensor tensor) {
    values[value] = std::move(tensor);
  }
  const HostTensor *lookup(mlir::Value value) const;
  void forget(mlir::Value value) { values.erase(value); }

  /// Computes the results of `op`, whose tensor operands are known. On failure
  /// `getError` says why; nothing is emitted.
  mlir::LogicalResult evaluate(mlir::Operation *op);

  /// Runs an entry.
  mlir::FailureOr<llvm::SmallVector<HostTensor>>
  run(mlir::func::FuncOp entry, llvm::ArrayRef<HostTensor> arguments);

  llvm::StringRef getError() const { return error; }
  /// The states that were written, by symbol.
  llvm::StringMap<HostTensor> states;

private:
  mlir::LogicalResult fail(const llvm::Twine &message) {
    error = message.str();
    return mlir::failure();
  }
  mlir::FailureOr<llvm::SmallVector<int64_t>> getShape(mlir::Value tensor);
  mlir::FailureOr<llvm::SmallVector<int64_t>> getValues(mlir::ArrayAttr sizes);
  mlir::FailureOr<int64_t> getIndex(mlir::Value index);
  const HostTensor *require(mlir::Value tensor);

  mlir::LogicalResult evaluateStructured(mlir::Operation *op);
  mlir::LogicalResult evaluateGeneric(mlir::Operation *op);
  mlir::LogicalResult evaluateFill(mlir::Operation *op);
  mlir::LogicalResult evaluateDense(mlir::Operation *op);
  mlir::LogicalResult evaluateStack(mlir::Operation *op);
  mlir::LogicalResult evaluateView(hr::ViewOp op);
  mlir::LogicalResult evaluateUpdate(hr::UpdateOp op);
  mlir::LogicalResult evaluateConcat(hr::ConcatOp op);
  mlir::LogicalResult evaluatePad(hr::PadOp op);
  mlir::LogicalResult evaluateIndexed(mlir::Operation *op);
  mlir::LogicalResult evaluateSoftmaxSum(hr::SoftmaxSumOp op);
  mlir::LogicalResult evaluateScan(hr::ScanOp op);
  mlir::LogicalResult evaluateSort(hr::SortOp op);
  mlir::LogicalResult evaluateRepeat(hr::RepeatOp op);

  const WeightStore &weights;
  SymbolBindings symbols;
  bool hostMath;
  llvm::DenseMap<mlir::Value, HostTensor> values;
  llvm::DenseMap<mlir::Value, int64_t> iterations;
  std::string error;
};

} // namespace headrace
#endif // HEADRACE_EVALUATE_EVALUATE_H
