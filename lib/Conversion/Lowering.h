//===- Lowering.h - One call of an operator on its way down ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What an entry of the registry gets: the arguments of the call by the names of
// the schema, the declared results, and the builders of Emitter. It gives its
// results with `yield`, or says with `fail` why it cannot.
//
// The shapes that the exported program declares for the results were compared
// with what the arguments give (ResultTypes.h): an entry uses them where torch's
// rules would have to be repeated, and `yield` checks them against what was
// built.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_CONVERSION_LOWERING_H
#define HEADRACE_LIB_CONVERSION_LOWERING_H

#include "Emitter.h"
#include "headrace/Dialect/Aten/Aten.h"

namespace headrace::conversion {

/// A condition of the program on its data: a bool of rank 0.
struct Assertion {
  Tensor holds;
  mlir::Location loc;
  std::string message;
};

class Lowering : public Emitter {
public:
  Lowering(mlir::OpBuilder &builder, aten::CallOp call,
           const SymbolRanges &ranges,
           const llvm::DenseMap<mlir::Value, Tensor> &values,
           Requirements &requirements)
      : Emitter(builder, call.getLoc(), ranges, &requirements), call(call),
        values(values) {}

  aten::CallOp call;

  // Arguments. Where one is not what the entry needs (a symbolic size where a
  // constant is needed, say), the call fails and a harmless value is returned.

  /// A number given for a tensor becomes a rank-0 tensor.
  Tensor tensor(llvm::StringRef name);
  std::optional<Tensor> optionalTensor(llvm::StringRef name);
  llvm::SmallVector<Tensor> tensors(llvm::StringRef name);
  llvm::SmallVector<std::optional<Tensor>>
  optionalTensors(llvm::StringRef name);
  /// A tensor or a number.
  Operand operand(llvm::StringRef name);
  std::optional<Operand> optionalOperand(llvm::StringRef name);
  Number number(llvm::StringRef name);
  std::optional<Number> optionalNumber(llvm::StringRef name);
  int64_t integer(llvm::StringRef name);
  SizeExpr size(llvm::StringRef name);
  Dims sizes(llvm::StringRef name);
  llvm::SmallVector<int64_t> integers(llvm::StringRef name);
  /// `count` integers; one stands for all, none for `count` times `ifEmpty`.
  llvm::SmallVector<int64_t> integers(llvm::StringRef name, unsigned count,
                                      int64_t ifEmpty = 0);
  double real(llvm::StringRef name);
  bool flag(llvm::StringRef name);
  std::optional<DType> dtype(llvm::StringRef name);
  bool isNone(llvm::StringRef name) { return call.isNone(name); }
  bool has(llvm::StringRef name) { return call.hasArg(name); }
  llvm::StringRef text(llvm::StringRef name);

  /// A dimension number, counted from the end if negative; fails if it is not
  /// one of a tensor of the rank (rank 0 has dimension 0, as in torch).
  int64_t dimension(llvm::StringRef name, int64_t rank);
  int64_t wrapDimension(int64_t value, int64_t rank);
  /// Sorted and unique; none or an empty list means all if `emptyIsAll`.
  llvm::SmallVector<int64_t> dimensions(llvm::StringRef name, int64_t rank,
                                        bool emptyIsAll = true);

  // Results -----------------------------------------------------------------

  unsigned numResults() { return call.getNumResults(); }
  bool isUsed(unsigned i) {
    return i < numResults() && !call.getResult(i).use_empty();
  }
  Dims resultDims(unsigned i = 0);
  DType resultDType(unsigned i = 0);

  /// Gives the next result.
  void yield(const Tensor &tensor);
  /// Gives the next result cast to its declared dtype.
  void yieldCast(const Tensor &tensor) {
    yield(cast(tensor, resultDType(results.size())));
  }
  /// The next result is not used, and not built.
  void yieldUnused() { results.push_back(std::nullopt); }

  /// The call cannot be converted; `reason` completes "unsupported use of
  /// operator X: ...".
  void fail(const llvm::Twine &reason);
  bool failed() const { return !reason.empty(); }
  /// The conversion takes for granted that `size` is at least `least`: fails
  /// with `otherwise` if it never is, and leaves it to the call to check if it
  /// need not be.
  void requireAtLeast(const SizeExpr &size, int64_t least,
                      const llvm::Twine &otherwise);
  /// Fails unless the tensor has the rank.
  bool checkRank(const Tensor &tensor, int64_t rank, llvm::StringRef what);

  std::string reason;
  llvm::SmallVector<std::optional<Tensor>, 2> results;
  llvm::SmallVector<Assertion, 0> assertions;

private:
  Tensor lookup(mlir::Value value);
  Tensor missing(llvm::StringRef name, llvm::StringRef expected);

  const llvm::DenseMap<mlir::Value, Tensor> &values;
};

using LoweringFn = std::function<void(Lowering &)>;

/// The operators that can be converted, by full name (`aten.add.Tensor`).
class Registry {
public:
  /// The one table, filled when first asked for.
  static const Registry &get();
  const LoweringFn *lookup(llvm::StringRef name) const;
  /// All names, sorted.
  llvm::SmallVector<llvm::StringRef> getNames() const;

  void add(llvm::StringRef name, LoweringFn fn);
  /// One entry under several names.
  void add(std::initializer_list<llvm::StringRef> names, const LoweringFn &fn);

private:
  llvm::StringMap<LoweringFn> entries;
};

// What the folder's files add to the table.
void registerElementwise(Registry &registry);
void registerActivations(Registry &registry);
void registerCreation(Registry &registry);
void registerViews(Registry &registry);
void registerJoining(Registry &registry);
void registerReductions(Registry &registry);
void registerContractions(Registry &registry);
void registerNormalization(Registry &registry);
void registerAttention(Registry &registry);
void registerConvolutions(Registry &registry);
void registerPooling(Registry &registry);
void registerIndexing(Registry &registry);
void registerResampling(Registry &registry);
void registerSorting(Registry &registry);
void registerCounting(Registry &registry);

} // namespace headrace::conversion
#endif // HEADRACE_LIB_CONVERSION_LOWERING_H
