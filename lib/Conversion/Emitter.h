//===- Emitter.h - Builds the ops of the tensor level ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The general builders that every operator of the registry is made of:
//
//   map         elementwise over broadcast operands
//   reduce      combination over some dimensions
//   contract    sum of products
//   structured  any loop nest over tensors accessed by linear maps
//   reshape, view, concat, pad, update, gather, scatter
//
// Terms. An *iteration space* is a list of loop sizes. An *access* is a tensor
// and a map from loops to its dimensions.
//
// Loops of the constant size 1 are never emitted: `structured` drops them and
// the size-1 dimensions they belong to, and restores those on the result by an
// hr.reshape. Adding and dropping size-1 dimensions cancels out at once where
// one follows the other, so that a batch of one costs later phases no loop, and
// a broadcast from a size-1 dimension becomes a projected map.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_CONVERSION_EMITTER_H
#define HEADRACE_LIB_CONVERSION_EMITTER_H

#include "DType.h"
#include "Requirements.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Support/SizeExpr.h"
#include <variant>

namespace headrace::conversion {

using Dims = llvm::SmallVector<SizeExpr, 4>;

/// A tensor of the tensor level with its symbolic shape and dtype.
struct Tensor {
  mlir::Value value;
  Dims dims;
  DType dtype = DType::Float32;
  int64_t rank() const { return dims.size(); }
};

/// A number that is an argument of a call.
struct Number {
  std::variant<bool, SizeExpr, double> value;
  Number(bool value) : value(value) {}
  Number(SizeExpr value) : value(std::move(value)) {}
  Number(int64_t value) : value(SizeExpr(value)) {}
  Number(double value) : value(value) {}
  /// bool, int64 or float32 (torch's default float type).
  DType dtype() const;
  /// The constant value; nothing for a symbolic size.
  std::optional<double> constant() const;
  std::optional<int64_t> integer() const;
};

/// A tensor or a number: what elementwise operators take.
struct Operand {
  std::variant<Tensor, Number> value;
  Operand(Tensor tensor) : value(std::move(tensor)) {}
  Operand(Number number) : value(std::move(number)) {}
  const Tensor *tensor() const { return std::get_if<Tensor>(&value); }
  const Number *number() const { return std::get_if<Number>(&value); }
  DType dtype() const {
    return tensor() ? tensor()->dtype : number()->dtype();
  }
};

/// torch.result_type: tensors of rank above 0 outrank those of rank 0, which
/// outrank numbers, within a category (bool < integer < float).
DType resultType(llvm::ArrayRef<Operand> operands);

/// Whether the constant-size dimension is 1.
inline bool isOne(const SizeExpr &size) { return size.getConstant() == 1; }
/// The product of the sizes.
SizeExpr product(llvm::ArrayRef<SizeExpr> sizes);

//===----------------------------------------------------------------------===//
// Scalars: the bodies of structured ops
//===----------------------------------------------------------------------===//

/// A scalar inside a body, with its dtype.
struct Scalar {
  mlir::Value value;
  DType dtype = DType::Float32;
};

/// Builds arith and math on scalars; signedness follows the dtype. Operands of
/// one operation have equal dtypes.
class Body {
public:
  Body(mlir::OpBuilder &builder, mlir::Location loc,
       llvm::ArrayRef<std::optional<unsigned>> loops = {})
      : builder(builder), loc(loc), loops(loops) {}

  Scalar constant(double value, DType type);
  Scalar constant(const Number &value, DType type);
  Scalar integer(int64_t value, DType type);
  Scalar infinity(DType type, bool negative = false);
  Scalar nan(DType type);
  /// The least and the largest value of the type; infinities for floats.
  Scalar lowest(DType type);
  Scalar largest(DType type);
  /// A symbolic size as an int64.
  Scalar size(const SizeExpr &size);
  /// The number of the loop's iteration as an int64.
  Scalar index(unsigned loop);
  /// As torch casts, also where the value does not fit.
  Scalar cast(Scalar value, DType type);

  Scalar add(Scalar lhs, Scalar rhs);
  Scalar sub(Scalar lhs, Scalar rhs);
  Scalar mul(Scalar lhs, Scalar rhs);
  /// Float division, or integer division rounding toward zero; an integer
  /// divisor of zero is taken as one (see `nonZero`).
  Scalar div(Scalar lhs, Scalar rhs);
  /// Division rounding toward negative infinity, as torch does it.
  Scalar floorDiv(Scalar lhs, Scalar rhs);
  /// The remainder with the sign of the divisor (Python's %).
  Scalar remainder(Scalar lhs, Scalar rhs);
  /// The remainder with the sign of the dividend (C's fmod).
  Scalar fmod(Scalar lhs, Scalar rhs);
  /// NaN where one operand is.
  Scalar min(Scalar lhs, Scalar rhs);
  Scalar max(Scalar lhs, Scalar rhs);
  /// The other operand where one is NaN.
  Scalar fmin(Scalar lhs, Scalar rhs);
  Scalar fmax(Scalar lhs, Scalar rhs);
  Scalar neg(Scalar value);
  Scalar abs(Scalar value);
  Scalar select(Scalar condition, Scalar yes, Scalar no);

  enum class Compare { EQ, NE, LT, LE, GT, GE };
  Scalar compare(Compare predicate, Scalar lhs, Scalar rhs);
  Scalar isNaN(Scalar value);
  Scalar bitAnd(Scalar lhs, Scalar rhs);
  Scalar bitOr(Scalar lhs, Scalar rhs);
  Scalar bitXor(Scalar lhs, Scalar rhs);
  Scalar bitNot(Scalar value);

  // Conditions on data that torch checks too. Where one does not hold, the call
  // returns an error that names the operator `what` and the user's line.

  /// `value` if `holds`, else `otherwise` and the error `message`.
  Scalar check(Scalar holds, Scalar value, Scalar otherwise,
               llvm::StringRef what, llvm::StringRef message);
  /// An int64 in [0, bound), else zero and the error; `subject` names it there.
  Scalar checkBelow(Scalar value, const SizeExpr &bound, llvm::StringRef what,
                    llvm::StringRef subject);
  /// The divisor of a division of the program: an integer that is not zero.
  Scalar nonZero(Scalar divisor, llvm::StringRef what);

  /// A math operation of one or two float operands.
  template <typename Op> Scalar math(Scalar value) {
    return {Op::create(builder, loc, value.value), value.dtype};
  }
  template <typename Op> Scalar math(Scalar lhs, Scalar rhs) {
    return {Op::create(builder, loc, lhs.value, rhs.value), lhs.dtype};
  }

  mlir::OpBuilder &builder;
  mlir::Location loc;

private:
  mlir::Type type(DType dtype) {
    return getElementType(builder.getContext(), dtype);
  }
  /// The emitted loop of each loop of the iteration space; none where the loop
  /// has one iteration.
  llvm::ArrayRef<std::optional<unsigned>> loops;
};

using BodyFn =
    llvm::function_ref<Scalar(Body &, llvm::ArrayRef<Scalar> operands)>;
/// The same with several results.
using BodiesFn = llvm::function_ref<llvm::SmallVector<Scalar>(
    Body &, llvm::ArrayRef<Scalar> operands)>;

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

enum class Combine { Add, Mul, Min, Max, And, Or };

struct Access {
  Tensor tensor;
  mlir::AffineMap map;
};

class Emitter {
public:
  Emitter(mlir::OpBuilder &builder, mlir::Location loc,
          const SymbolRanges &ranges, Requirements *requirements = nullptr)
      : builder(builder), loc(loc), ranges(ranges),
        requirements(requirements) {}

  mlir::OpBuilder &builder;
  mlir::Location loc;
  /// The ranges of the entry's symbols.
  const SymbolRanges &ranges;
  /// Where to note what is taken for given; null where sizes are constants.
  Requirements *requirements;
  /// Whether `a <= b` may be taken for given, by what is built at `loc`: it
  /// holds, or tracing took it to hold, and then is required of the call.
  bool assumeAtMost(const SizeExpr &a, const SizeExpr &b) {
    return requirements ? requirements->assumeAtMost(a, b, loc)
                        : a.isLessEqual(b, ranges);
  }
  /// `a <= b` is required of the call, by what is built at `loc`.
  void requireAtMost(const SizeExpr &a, const SizeExpr &b) {
    if (requirements)
      requirements->requireAtMost(a, b, loc);
  }
  /// The sizes are taken for equal, by what is built at `loc`.
  void requireEqual(const SizeExpr &lhs, const SizeExpr &rhs) {
    if (requirements)
      requirements->requireEqual(lhs, rhs, loc);
  }

  mlir::MLIRContext *context() { return builder.getContext(); }
  mlir::AffineExpr dim(unsigned d) { return builder.getAffineDimExpr(d); }
  mlir::AffineExpr zero() { return builder.getAffineConstantExpr(0); }
  mlir::AffineMap getMap(unsigned loops,
                         llvm::ArrayRef<mlir::AffineExpr> results) {
    return mlir::AffineMap::get(loops, 0, results, context());
  }

  /// `min` and `max` that use what is known of the symbols.
  SizeExpr min(const SizeExpr &lhs, const SizeExpr &rhs) const;
  SizeExpr max(const SizeExpr &lhs, const SizeExpr &rhs) const;

  // Elementwise -------------------------------------------------------------

  /// Applies `body` to every point of `dims`, operands broadcast as torch does.
  /// Operands are cast to `compute` (16-bit floats further to f32), the body's
  /// result to `result`.
  Tensor map(llvm::ArrayRef<Operand> operands, llvm::ArrayRef<SizeExpr> dims,
             DType compute, DType result, BodyFn body);
  /// The same over the operands' broadcast shape.
  Tensor map(llvm::ArrayRef<Operand> operands, DType compute, DType result,
             BodyFn body);
  Tensor cast(const Tensor &tensor, DType type);
  /// The shape that operands broadcast to.
  Dims broadcast(llvm::ArrayRef<Operand> operands) const;

  Tensor fill(llvm::ArrayRef<SizeExpr> dims, const Number &value, DType type);
  /// The value of a one-element tensor or a number as a rank-0 tensor.
  Tensor scalarTensor(const Operand &operand, DType type);
  /// Float arithmetic of whole tensors in their own (or compute) type.
  Tensor add(const Tensor &lhs, const Tensor &rhs);
  Tensor sub(const Tensor &lhs, const Tensor &rhs);
  Tensor mul(const Tensor &lhs, const Tensor &rhs);
  Tensor scale(const Tensor &tensor, double factor);
  Tensor where(const Tensor &condition, const Operand &yes, const Operand &no,
               DType result);

  // Structured --------------------------------------------------------------

  /// One loop nest. `out` maps loops to the result's dimensions; loops that it
  /// does not use are reductions, for which `init` is the start value (an
  /// elementwise nest has none). Operands reach the body in their compute type;
  /// for a reduction the last one is the accumulator. The result has the type
  /// `result`; a reduction's accumulator has the compute type of that.
  Tensor structured(llvm::ArrayRef<SizeExpr> loops,
                    llvm::ArrayRef<Access> inputs, mlir::AffineMap out,
                    DType result, std::optional<Number> init, BodyFn body);
  /// Several sums of one nest, each from zero: the last `count` operands of the
  /// body are the accumulators, which have the type `accumulate` (not a 16-bit
  /// float), and it gives what they become.
  llvm::SmallVector<Tensor>
  sums(llvm::ArrayRef<SizeExpr> loops, llvm::ArrayRef<Access> inputs,
       mlir::AffineMap out, DType accumulate, unsigned count, BodiesFn body);

  /// Combines over `dims` (sorted, unique); they are dropped from the result,
  /// or kept with size 1. `element` is applied to each element first, in
  /// `accumulate`, which is the result's type.
  Tensor reduce(const Tensor &tensor, llvm::ArrayRef<int64_t> dims, bool keep,
                Combine combine, DType accumulate,
                llvm::function_ref<Scalar(Body &, Scalar)> element = nullptr);
  /// The neutral element of a combination.
  static Number neutral(Combine combine, DType type);
  static Scalar combine(Body &body, Combine combine, Scalar lhs, Scalar rhs);

  /// Sum over the loops that `out` does not use of the products of lhs and rhs;
  /// the result is in the compute type of `type` (f32 for 16-bit floats).
  Tensor contract(llvm::ArrayRef<SizeExpr> loops, const Access &lhs,
                  const Access &rhs, mlir::AffineMap out, DType type);

  // Views -------------------------------------------------------------------

  Tensor reshape(const Tensor &tensor, llvm::ArrayRef<SizeExpr> dims);
  Tensor view(const Tensor &tensor, llvm::ArrayRef<SizeExpr> offsets,
              mlir::AffineMap map, llvm::ArrayRef<SizeExpr> dims);
  Tensor permute(const Tensor &tensor, llvm::ArrayRef<int64_t> order);
  Tensor transpose(const Tensor &tensor, int64_t dim0, int64_t dim1);
  /// `size` elements of dimension `dim` from `start`, every `step`-th.
  Tensor slice(const Tensor &tensor, int64_t dim, const SizeExpr &start,
               const SizeExpr &size, int64_t step = 1);
  Tensor select(const Tensor &tensor, int64_t dim, const SizeExpr &index);
  /// To the right-aligned shape `dims`.
  Tensor expand(const Tensor &tensor, llvm::ArrayRef<SizeExpr> dims);
  Tensor unsqueeze(const Tensor &tensor, int64_t dim);
  Tensor squeeze(const Tensor &tensor, llvm::ArrayRef<int64_t> dims);
  Tensor flip(const Tensor &tensor, int64_t dim);
  Tensor concat(llvm::ArrayRef<Tensor> tensors, int64_t dim);
  Tensor pad(const Tensor &tensor, llvm::ArrayRef<SizeExpr> low,
             llvm::ArrayRef<SizeExpr> high, const Number &value);
  Tensor update(const Tensor &base, const Tensor &value,
                llvm::ArrayRef<SizeExpr> offsets, mlir::AffineMap map);

  // Data-dependent positions ------------------------------------------------

  /// Where an element is read or written: per dimension of the tensor either
  /// the value of an index tensor or an expression of the loops.
  struct Position {
    mlir::AffineExpr expr;
    std::optional<unsigned> index;
  };
  Tensor gather(const Tensor &source, llvm::ArrayRef<Position> positions,
                llvm::ArrayRef<Access> indices, llvm::ArrayRef<SizeExpr> loops,
                llvm::StringRef what, bool wrap);
  /// `updates` has the iteration space as its shape.
  Tensor scatter(const Tensor &base, const Tensor &updates,
                 llvm::ArrayRef<Position> positions,
                 llvm::ArrayRef<Access> indices, hr::Combiner combiner,
                 llvm::StringRef what, bool wrap);

  /// Positions along `dim` in order; bools and uint8 are not taken (see
  /// hr.sort).
  Tensor sort(const Tensor &tensor, int64_t dim, bool descending);
  Tensor scan(const Tensor &tensor, int64_t dim, hr::Combiner combiner);

  mlir::RankedTensorType getType(llvm::ArrayRef<SizeExpr> dims, DType type);
  /// The attribute of a constant in a tensor of the type.
  mlir::TypedAttr getAttr(const Number &value, DType type);

private:
  /// `structured` with `count` results of one shape and type.
  llvm::SmallVector<Tensor>
  buildNest(llvm::ArrayRef<SizeExpr> loops, llvm::ArrayRef<Access> inputs,
            mlir::AffineMap out, DType result, unsigned count,
            std::optional<Number> init, BodiesFn body);
  /// Removes size-1 dimensions (`drop` is sorted).
  Tensor dropDims(const Tensor &tensor, llvm::ArrayRef<int64_t> drop);
  /// Rewrites an access for an iteration space from which loops were dropped.
  Access compress(const Access &access,
                  llvm::ArrayRef<std::optional<unsigned>> loops,
                  unsigned numLoops);
};

} // namespace headrace::conversion
#endif // HEADRACE_LIB_CONVERSION_EMITTER_H
