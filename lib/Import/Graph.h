//===- Graph.h - Nodes of an exported graph as ops ------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_IMPORT_GRAPH_H
#define HEADRACE_LIB_IMPORT_GRAPH_H

#include "Json.h"
#include "SymPy.h"
#include "headrace/Dialect/Aten/Aten.h"
#include "headrace/Import/DimName.h"
#include "headrace/Dialect/Aten/Obstacles.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace headrace {

/// What all graphs of one entry share.
struct EntryState {
  EntryState(mlir::MLIRContext *context, mlir::Location file,
             aten::Obstacles &obstacles)
      : builder(context), file(file), obstacles(obstacles) {}

  mlir::OpBuilder builder;
  /// Where errors go that no node is to blame for.
  mlir::Location file;
  /// The symbols that the inputs bind, in order of appearance.
  llvm::SmallVector<std::string> symbols;
  llvm::StringSet<> boundSymbols;
  SymbolRanges ranges;
  /// The least value of symbols that tracing took for given, where calls are
  /// allowed less.
  llvm::StringMap<int64_t> tracedLeast;
  /// What the user calls dimensions of inputs.
  std::vector<DimName> dimNames;
  /// What the user calls the symbols of the file.
  llvm::StringMap<std::string> symbolNames;
  /// The name that the user gave a dimension; empty if none.
  llvm::StringRef getDimName(llvm::StringRef input, int64_t dimension) const;
  /// What must hold of the sizes and could not be shown: #hr.requirement.
  llvm::SetVector<mlir::Attribute> requirements;
  /// What cannot be compiled. Importing goes on, to find all of it.
  aten::Obstacles &obstacles;

  /// Parses a symbolic value, with symbols replaced.
  llvm::Expected<SymbolicValue> parse(llvm::StringRef text);
  /// From now on, `symbol` of the file is `value`.
  void replace(llvm::StringRef symbol, const SizeExpr &value);
  /// Applies the replacements so far.
  SizeExpr replaced(const SizeExpr &expr) const;
  /// Records that `condition` has to hold, unless the ranges ensure it. `text`
  /// says it with the names of the file's symbols, `where` what needs it.
  void require(const SizeExpr &condition, llvm::StringRef text,
               llvm::StringRef where);

private:
  llvm::StringMap<SizeExpr> replacements;
  /// Expressions are few and repeat a thousand times.
  llvm::StringMap<SymbolicValue> parsedExprs;
};

/// The constant that a leaf of a pytree holds, or null if `value` is a value.
mlir::Attribute getConstantLeaf(mlir::Builder &builder,
                                const JsonReader::Union &value);

/// Imports one graph, the entry's or a nested one.
class GraphImporter {
public:
  GraphImporter(EntryState &entry, unsigned depth)
      : entry(entry), builder(entry.builder), reader(entry.file),
        depth(depth) {}

  /// Reads the tables of tensor types and of symbolic values.
  mlir::LogicalResult readTables(const llvm::json::Object &graph);
  /// The type of a tensor of the graph.
  mlir::FailureOr<mlir::RankedTensorType> getType(llvm::StringRef name);
  /// The same, but its symbols become bound: for inputs of the entry.
  mlir::FailureOr<mlir::RankedTensorType> getInputType(llvm::StringRef name);
  mlir::LogicalResult define(llvm::StringRef name, mlir::Value value);
  mlir::FailureOr<mlir::Value> lookup(llvm::StringRef name);
  /// The expression of a symbolic integer.
  mlir::FailureOr<SizeExpr> lookupSize(llvm::StringRef name);
  mlir::LogicalResult importNodes(const llvm::json::Object &graph);
  /// An integer or the expression of one.
  mlir::FailureOr<SizeExpr> parseSymInt(const llvm::json::Value *value,
                                        const llvm::Twine &what);

  JsonReader &getReader() { return reader; }

private:
  friend class ArgumentImporter;
  struct Call;
  mlir::Location getLocation(const llvm::json::Object &node,
                             llvm::StringRef name);
  /// Notes symbols that the inputs do not bind; later they count as bound.
  void checkBound(const SizeExpr &expr, const llvm::Twine &what);
  mlir::FailureOr<mlir::RankedTensorType>
  readTensorMeta(const llvm::json::Value *meta, const llvm::Twine &what,
                 bool bindSymbols);

  mlir::LogicalResult importNode(const llvm::json::Object &node);
  mlir::LogicalResult importCall(const llvm::json::Object &node,
                                 llvm::StringRef callee,
                                 const aten::Schema &schema);
  /// Told of what a call relies on and the ranges do not show.
  void acceptUnproved(const SizeExpr &nonNegative);
  void collectTensors(const llvm::json::Value &argument,
                      llvm::SmallVectorImpl<mlir::Value> &tensors);
  mlir::LogicalResult importUnknown(const llvm::json::Object &node,
                                    llvm::StringRef target);
  mlir::LogicalResult importRegionCall(const llvm::json::Object &node,
                                       llvm::StringRef callee);
  mlir::LogicalResult inlineGraph(const llvm::json::Object &node,
                                  unsigned skipped);
  mlir::LogicalResult importAssertion(const llvm::json::Object &node);
  /// An argument as an attribute; operands are appended to `inputs`.
  mlir::FailureOr<mlir::Attribute>
  importArgument(const llvm::json::Value *argument, const llvm::Twine &what,
                 llvm::SmallVectorImpl<mlir::Value> &inputs,
                 llvm::SmallVectorImpl<const llvm::json::Object *> *graphs);
  mlir::FailureOr<mlir::Attribute>
  importSymbolic(const llvm::json::Value *value, const llvm::Twine &what);
  mlir::FailureOr<mlir::Attribute>
  importTensor(const llvm::json::Value *value, const llvm::Twine &what,
               llvm::SmallVectorImpl<mlir::Value> &inputs);
  mlir::LogicalResult
  readOutputs(const llvm::json::Object &node,
              llvm::SmallVectorImpl<llvm::StringRef> &names,
              llvm::SmallVectorImpl<mlir::Type> &types);
  mlir::LogicalResult defineOutputs(llvm::ArrayRef<llvm::StringRef> names,
                                    mlir::ValueRange values);

  EntryState &entry;
  mlir::OpBuilder &builder;
  JsonReader reader;
  unsigned depth;
  const llvm::json::Object *tensorTable = nullptr;
  const llvm::json::Object *sizeTable = nullptr;
  const llvm::json::Object *floatTable = nullptr;
  const llvm::json::Object *conditionTable = nullptr;
  llvm::StringMap<mlir::Value> values;
  llvm::StringMap<mlir::RankedTensorType> types;
};

} // namespace headrace
#endif // HEADRACE_LIB_IMPORT_GRAPH_H
