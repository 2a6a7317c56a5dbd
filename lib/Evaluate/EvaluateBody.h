//===- EvaluateBody.h - Scalar bodies as programs over blocks -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The body of a structured op as a list of kernels, each of which applies one
// scalar operation to a block of elements. Interpretation costs once per
// block instead of once per element.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_EVALUATE_EVALUATEBODY_H
#define HEADRACE_LIB_EVALUATE_EVALUATEBODY_H

#include "mlir/IR/Block.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include <functional>
#include <string>
#include <vector>

namespace headrace::evaluate {

/// One scalar. Integers are kept sign-extended; bf16, f16 and f32 as float.
union Cell {
  float f;
  double d;
  int64_t i;
};

/// Elements per block.
constexpr unsigned blockSize = 256;

/// Reads `count` elements `stride` elements apart.
void load(mlir::Type type, const char *from, int64_t stride, unsigned count,
          Cell *to);
void store(mlir::Type type, const Cell *from, unsigned count, int64_t stride,
           char *to);
Cell fromAttribute(mlir::Attribute attr);

using Kernel = std::function<void(llvm::ArrayRef<const Cell *>, Cell *,
                                  unsigned, bool &)>;

/// The kernel of one scalar op; null if it is not known. A kernel sets its
/// last argument where the op has no defined result.
Kernel getKernel(mlir::Operation *op, bool hostMath);

/// A compiled block.
class Body {
public:
  /// `outside` gives the value of a scalar that is defined above; on failure
  /// `error` names the op.
  mlir::LogicalResult
  compile(mlir::Block &block, bool hostMath,
          llvm::function_ref<mlir::FailureOr<Cell>(mlir::Value)> outside,
          std::string &error);

  /// Registers of block argument `n` and of the value yielded at `n`.
  Cell *argument(unsigned n) { return registers[n].data(); }
  const Cell *yielded(unsigned n) const {
    return registers[yields[n]].data();
  }
  /// The linalg.index ops: dimension and register.
  struct Index {
    unsigned dim, reg;
  };
  llvm::ArrayRef<Index> indices() const { return indexOps; }
  Cell *reg(unsigned n) { return registers[n].data(); }

  /// Runs on the first `count` elements of the registers; false if some op had
  /// no defined result.
  bool run(unsigned count);

private:
  struct Step {
    Kernel kernel;
    llvm::SmallVector<unsigned, 3> operands;
    unsigned result;
  };
  std::vector<std::vector<Cell>> registers;
  std::vector<Step> steps;
  llvm::SmallVector<unsigned> yields;
  llvm::SmallVector<Index> indexOps;
};

} // namespace headrace::evaluate
#endif // HEADRACE_LIB_EVALUATE_EVALUATEBODY_H
