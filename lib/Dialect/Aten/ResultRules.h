//===- ResultRules.h - The rules of what operators give -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A rule takes a `Call`: arguments by the names of the schema, what must hold
// of them (`require`, `equal`, `atMost`), and `give` for each result. After the
// first failure the rest of a rule runs on harmless values.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_DIALECT_ATEN_RESULTRULES_H
#define HEADRACE_LIB_DIALECT_ATEN_RESULTRULES_H

#include "headrace/Dialect/Aten/ResultTypes.h"
#include "llvm/ADT/StringMap.h"

namespace headrace::aten::rules {

using Sizes = llvm::SmallVector<SizeExpr>;

/// What is known of a result's element type.
struct Element {
  enum class Kind { Any, Exact, AnyFloat };
  Element() = default;
  Element(mlir::Type type)
      : kind(type ? Kind::Exact : Kind::Any), type(type) {}
  static Element anyFloat() {
    Element element;
    element.kind = Kind::AnyFloat;
    return element;
  }
  Kind kind = Kind::Any;
  mlir::Type type;
};

/// What is known of one result. A dimension without a value may be anything.
struct Result {
  std::optional<llvm::SmallVector<std::optional<SizeExpr>>> dims;
  Element element;
};

class Call {
public:
  Call(CallOp op, const SymbolRanges &ranges, UnprovedFn unproved)
      : op(op), ranges(ranges), unproved(unproved) {}

  CallOp op;
  const SymbolRanges &ranges;

  // Arguments. -------------------------------------------------------------

  bool has(llvm::StringRef name) { return op.hasArg(name); }
  bool isNone(llvm::StringRef name) { return op.isNone(name); }
  /// The shape of a tensor; that of a number is empty.
  Sizes tensor(llvm::StringRef name);
  std::optional<Sizes> optionalTensor(llvm::StringRef name);
  llvm::SmallVector<Sizes> tensors(llvm::StringRef name);
  /// The element type of a tensor argument; null for a number.
  mlir::Type type(llvm::StringRef name);
  /// A dtype argument, if it is given, or else `otherwise`.
  Element dtypeOr(llvm::StringRef name, Element otherwise);
  /// The types promoted as torch does; of all arguments if none is named.
  Element promoted(llvm::ArrayRef<llvm::StringRef> names = {});
  /// The same, or the default float type if it is no float.
  Element promotedFloat(llvm::ArrayRef<llvm::StringRef> names = {});
  mlir::Type i64() { return mlir::IntegerType::get(op.getContext(), 64); }
  mlir::Type i1() { return mlir::IntegerType::get(op.getContext(), 1); }

  /// A constant; without one the call cannot be judged, see `isUnknown`.
  int64_t integer(llvm::StringRef name);
  int64_t integerOr(llvm::StringRef name, int64_t otherwise);
  SizeExpr size(llvm::StringRef name);
  Sizes sizes(llvm::StringRef name);
  llvm::SmallVector<int64_t> integers(llvm::StringRef name);
  /// `count` integers; one stands for all, none for `count` times `ifEmpty`.
  llvm::SmallVector<int64_t> integers(llvm::StringRef name, size_t count,
                                      int64_t ifEmpty = 0);
  bool flag(llvm::StringRef name);
  /// A position of one of `rank` dimensions (a scalar has one in name).
  int64_t dimension(llvm::StringRef name, int64_t rank);
  int64_t wrap(int64_t dim, int64_t rank);
  /// Sorted; none or an empty list is all of them. Fails on repeated ones.
  llvm::SmallVector<int64_t> dimensions(llvm::StringRef name, int64_t rank);

  // What must hold. --------------------------------------------------------

  bool failed() const { return !error.empty(); }
  void fail(const llvm::Twine &why) {
    if (error.empty())
      error = why.str();
  }
  bool require(bool condition, const llvm::Twine &why) {
    if (!condition)
      fail(why);
    return condition;
  }
  void equal(const SizeExpr &a, const SizeExpr &b, const llvm::Twine &what);
  void equal(const Sizes &a, const Sizes &b, const llvm::Twine &what);
  void atLeast(const SizeExpr &size, int64_t least, const llvm::Twine &what);
  void atMost(const SizeExpr &a, const SizeExpr &b, const llvm::Twine &what);
  /// A tensor of shape `dims` is broadcast to `target`.
  void expandable(const Sizes &dims, const Sizes &target,
                  const llvm::Twine &what);
  bool rank(const Sizes &dims, size_t rank, llvm::StringRef what);
  bool rankAtLeast(const Sizes &dims, size_t rank, llvm::StringRef what);

  // Arithmetic. ------------------------------------------------------------

  bool isLessEqual(const SizeExpr &a, const SizeExpr &b) const {
    return a.isLessEqual(b, ranges);
  }
  SizeExpr min(const SizeExpr &a, const SizeExpr &b) const;
  SizeExpr max(const SizeExpr &a, const SizeExpr &b) const;
  Sizes broadcast(llvm::ArrayRef<Sizes> shapes);
  /// A position that counts from the end if negative, held in [0, size];
  /// nothing if its sign depends on the sizes.
  std::optional<SizeExpr> clamped(SizeExpr position, const SizeExpr &size);

  // Results. ---------------------------------------------------------------

  /// What the program declares, where a rule needs it.
  size_t numDeclared() { return op.getNumResults(); }
  Sizes declared(unsigned i = 0);

  void give(const Sizes &dims, Element element);
  void giveSome(llvm::SmallVector<std::optional<SizeExpr>> dims,
                Element element);
  void giveAny(Element element = {}) {
    results.push_back({std::nullopt, element});
  }

  std::string error;
  /// An argument that decides is no constant: the call is not judged further,
  /// its conversion refuses it.
  bool isUnknown = false;
  llvm::SmallVector<Result> results;

private:
  /// `nonNegative` is at least 0: fails if it never is, and tells of it if that
  /// is not known.
  void relate(const SizeExpr &nonNegative, const llvm::Twine &why);

  UnprovedFn unproved;
};

std::string toText(llvm::ArrayRef<SizeExpr> dims);
SizeExpr product(llvm::ArrayRef<SizeExpr> sizes);

using Rule = void (*)(Call &);
/// By base name, without `aten.`.
using Table = llvm::StringMap<Rule>;

void addElementwise(Table &table);
void addViews(Table &table);
void addJoins(Table &table);
void addReductions(Table &table);
void addContractions(Table &table);
void addWindows(Table &table);
void addNormalizations(Table &table);
void addIndexing(Table &table);

} // namespace headrace::aten::rules
#endif // HEADRACE_LIB_DIALECT_ATEN_RESULTRULES_H
