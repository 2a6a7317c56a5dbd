//===- FormStages.cpp - Groups operations into stages with plans ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every edge of the graph starts at main memory: one stage per operation.
// Going through the operations in order, each tries to join the stages of its
// producers, which lowers the edge between them to the tile's scratch or to
// registers. A join must
//
//   - leave no cycle among stages,
//   - be expressible (plan::StageAnalysis succeeds on the union),
//   - not be slower than the two apart, by prediction; where it puts a product
//     behind another whose result it sums over, and the edge between the two in
//     the tile's memory, be clearly faster.
//
// Then stages become hr.stage ops; weights that a plan reads along lanes are
// repacked at compile time, other operands by a copy at the head of the tile.
//
//===----------------------------------------------------------------------===//

#include "PackWeights.h"

#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Plan/Passes.h"
#include "headrace/Plan/Planner.h"
#include "headrace/Target/Target.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

namespace headrace {
#define GEN_PASS_DEF_FORMSTAGESPASS
#include "headrace/Plan/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

/// A compute op that reads no tensor: a constant or a function of the indices.
static bool isIndexFunction(Operation *op) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp || isa<linalg::UnPackOp>(op))
    return false;
  for (OpOperand *input : linalgOp.getDpsInputOperands())
    if (isa<RankedTensorType>(input->get().getType()))
      return false;
  for (OpOperand &init : linalgOp.getDpsInitsMutable())
    if (linalgOp.payloadUsesValueFromOperand(&init))
      return false;
  return true;
}

/// The operand that an in-place op overwrites.
static Value getOverwritten(Operation *op) {
  std::optional<hr::TileRegion> region = getRegion(op);
  return region && region->isOverwritten ? op->getOperand(region->operand)
                                         : Value();
}

/// Whether the op reads a tensor at positions that are data.
static bool isGather(Operation *op) {
  std::optional<hr::TileRegion> region = getRegion(op);
  return region && !region->isOverwritten;
}

static void collectReaders(Value value, SmallVectorImpl<OpOperand *> &readers) {
  for (OpOperand &use : value.getUses()) {
    if (isViewLike(use.getOwner()))
      collectReaders(use.getOwner()->getResult(0), readers);
    else
      readers.push_back(&use);
  }
}

namespace {

/// What is known of operations as a stage.
struct Facts {
  double seconds = 0; // predicted
  /// Gathers that nobody computes, because their readers see through them.
  unsigned lookedThrough = 0;
  /// Products that sum over another product's results, which are in scratch.
  unsigned chained = 0;
};

struct Group {
  SmallVector<Operation *> ops; // in block order
  Facts facts;
  bool alive = true;
};

class StageFormer {
public:
  StageFormer(func::FuncOp entry, const hw::Device &device,
              const Planner::Options &options, unsigned &counter)
      : entry(entry), ranges(hr::getSymbolRanges(entry)),
        planner(device, entry, options), fuse(!options.scalar),
        counter(counter) {}

  LogicalResult run(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(block))
      if (auto repeat = dyn_cast<hr::RepeatOp>(op)) {
        StageFormer inner(*this);
        if (failed(inner.run(repeat.getBody().front())))
          return failure();
      }
    this->block = &block;
    groups.clear();
    groupOf.clear();
    planner.isPackable = [this](Value value) { return isPackable(value); };
    sinkScalars();
    cloneIndexFunctions();
    makeGroups();
    if (fuse)
      joinGroups();
    LogicalResult result = createStages();
    planner.isPackable = nullptr;
    return result;
  }

private:
  StageFormer(const StageFormer &other) = default;

  /// Sizes and constants that a body reads from above (CSE hoists them) go back
  /// into it: a stage is isolated.
  void sinkScalars() {
    for (auto generic : block->getOps<linalg::GenericOp>()) {
      Block *body = generic.getBody();
      OpBuilder b(body, body->begin());
      DenseMap<Operation *, Operation *> sunk;
      for (Operation &op : body->getOperations())
        for (OpOperand &operand : op.getOpOperands()) {
          Operation *def = operand.get().getDefiningOp();
          if (!def || def->getBlock() == body ||
              !isa<hr::SizeOp, arith::ConstantOp>(def))
            continue;
          Operation *&copy = sunk[def];
          if (!copy)
            copy = b.clone(*def);
          operand.set(copy->getResult(0));
        }
    }
  }

  /// Constants and index functions are computed where they are used.
  void cloneIndexFunctions() {
    for (Operation &op : llvm::make_early_inc_range(*block)) {
      if (!isComputeOp(&op))
        continue;
      for (OpOperand &operand : op.getOpOperands()) {
        SmallVector<Operation *> chain;
        Value base = operand.get();
        while (Operation *def = base.getDefiningOp()) {
          chain.push_back(def);
          if (!isViewLike(def))
            break;
          base = def->getOperand(0);
        }
        if (chain.empty() || !isIndexFunction(chain.back()) ||
            operand.get() == getOverwritten(&op))
          continue;
        // Also in place: what lies between an op and its index function would
        // lie within their stage.
        if (chain.back()->hasOneUse() && chain.back()->getBlock() == block &&
            llvm::all_of(chain, [](Operation *def) { return def->hasOneUse(); })) {
          for (Operation *def : llvm::reverse(chain))
            def->moveBefore(&op);
          continue;
        }
        OpBuilder b(&op);
        IRMapping map;
        for (Operation *def : llvm::reverse(chain))
          b.clone(*def, map);
        operand.set(map.lookup(operand.get()));
      }
    }
    for (Operation &op :
         llvm::make_early_inc_range(llvm::reverse(block->getOperations())))
      if ((isComputeOp(&op) || isViewLike(&op)) && op.use_empty())
        op.erase();
  }

  void makeGroups() {
    for (Operation &op : *block) {
      if (!isComputeOp(&op))
        continue;
      groupOf[&op] = groups.size();
      groups.push_back({{&op}, Facts(), true});
    }
    // An index function joins its only user's group, and so does a gather through
    // which its user sees.
    for (Operation &op : llvm::reverse(*block)) {
      if (!isComputeOp(&op) || !(isIndexFunction(&op) || isGather(&op)))
        continue;
      SmallVector<OpOperand *> readers;
      collectReaders(op.getResult(0), readers);
      if (readers.size() != 1)
        continue;
      Operation *user = readers[0]->getOwner();
      if (!groupOf.count(user) ||
          readers[0]->get() == getOverwritten(user))
        continue;
      SmallVector<Operation *> together{&op};
      llvm::append_range(together, groups[groupOf[user]].ops);
      sortOps(together);
      std::optional<Facts> facts = analyze(together);
      if (!facts ||
          (isGather(&op) && facts->lookedThrough <=
                                analyze(groups[groupOf[user]].ops)
                                    .value_or(Facts())
                                    .lookedThrough))
        continue;
      groups[groupOf[&op]].alive = false;
      groups[groupOf[user]].ops = together;
      groupOf[&op] = groupOf[user];
    }
    if (!fuse)
      return;
    for (Group &group : groups)
      if (group.alive)
        group.facts = plan(group.ops).value_or(Facts());
  }

  void sortOps(SmallVectorImpl<Operation *> &ops) {
    llvm::sort(ops, [](Operation *a, Operation *b) {
      return a->isBeforeInBlock(b);
    });
  }

  /// The results that somebody outside `ops` reads.
  SmallVector<Value> getOutputs(ArrayRef<Operation *> ops) {
    DenseSet<Operation *> inside(ops.begin(), ops.end());
    SmallVector<Value> outputs;
    for (Operation *op : ops)
      for (Value result : op->getResults()) {
        SmallVector<OpOperand *> readers;
        collectReaders(result, readers);
        if (llvm::any_of(readers, [&](OpOperand *use) {
              return !inside.contains(use->getOwner());
            }) ||
            getOverwritten(op))
          outputs.push_back(result);
      }
    return outputs;
  }

  /// What is known of the operations as a stage, but for the time; nothing if
  /// they can be none.
  std::optional<Facts> analyze(ArrayRef<Operation *> ops) {
    std::unique_ptr<StageAnalysis> analysis =
        createAnalysis(ops, /*why=*/nullptr);
    if (!analysis)
      return std::nullopt;
    return getFacts(*analysis);
  }
  /// The same with the time.
  std::optional<Facts> plan(ArrayRef<Operation *> ops,
                            std::string *why = nullptr) {
    std::unique_ptr<StageAnalysis> analysis = createAnalysis(ops, why);
    if (!analysis)
      return std::nullopt;
    Facts facts = getFacts(*analysis);
    facts.seconds = planner.plan(*analysis).seconds;
    return facts;
  }

  std::unique_ptr<StageAnalysis> createAnalysis(ArrayRef<Operation *> ops,
                                                std::string *why) {
    FailureOr<std::unique_ptr<StageAnalysis>> analysis =
        StageAnalysis::create(ops, getOutputs(ops), why);
    if (failed(analysis))
      return nullptr;
    if (hasBoundedScratch(**analysis))
      return std::move(*analysis);
    if (why)
      *why = "a value between operations has no useful bound";
    return nullptr;
  }

  /// Scratch is sized for the largest tile. A value that spans long dynamic
  /// dimensions belongs in a buffer, which is sized for the call.
  bool hasBoundedScratch(const StageAnalysis &analysis) {
    SmallVector<unsigned> tileable;
    if (fuse) // else all is one tile
      tileable = analysis.getTileClasses();
    // Of what is made inside a stream, there is a block of the stream at a time.
    DenseSet<const Node *> inStream;
    for (const Nest &nest : analysis.getNests())
      if (nest.streamedBy)
        inStream.insert_range(nest.getRoots());
    auto isBounded = [&](const Node *node, ArrayRef<unsigned> over) {
      return analysis.isBounded(node, over, tileable, inStream.contains(node),
                                ranges);
    };
    for (const auto &node : analysis.getNodes()) {
      if (!analysis.isMaterialized(node.get()))
        continue;
      // The sums so far, wherever the result goes.
      if (node->kind == NodeKind::SoftmaxSum) {
        SmallVector<unsigned> parallel;
        for (auto [l, loop] : llvm::enumerate(node->loops))
          if (loop.parallel)
            parallel.push_back(l);
        if (!isBounded(node.get(), parallel))
          return false;
      }
      for (OpResult value : node->op->getResults())
        if (!analysis.isOutput(value) &&
            value.getResultNumber() < node->resultLoops.size() &&
            !isBounded(node.get(), node->resultLoops[value.getResultNumber()]))
          return false;
    }
    return true;
  }

  static Facts getFacts(const StageAnalysis &analysis) {
    Facts facts;
    auto isHeavy = [](const Node *node) {
      return node->kind == NodeKind::Contraction ||
             node->kind == NodeKind::SoftmaxSum;
    };
    // Products on whose results a node depends, but for those that are part of
    // the stream of the one that reads them.
    DenseMap<const Node *, const Node *> streamed;
    for (const Nest &nest : analysis.getNests())
      if (nest.streamedBy)
        streamed[nest.anchor] = nest.streamedBy;
    DenseMap<const Node *, llvm::SetVector<const Node *>> below;
    for (const auto &node : analysis.getNodes()) {
      facts.lookedThrough += analysis.isLookedThrough(node.get());
      llvm::SetVector<const Node *> &own = below[node.get()];
      for (const Access &access : node->operands)
        if (access.producer) {
          own.insert_range(below[access.producer]);
          if (isHeavy(access.producer))
            own.insert(access.producer);
        }
      facts.chained +=
          isHeavy(node.get()) && llvm::any_of(own, [&](const Node *product) {
            return streamed.lookup(product) != node.get();
          });
    }
    return facts;
  }

  /// Groups that `group` must run after: producers, and readers of what it
  /// overwrites.
  void getPredecessors(unsigned group, SetVector<unsigned> &result) {
    for (Operation *op : groups[group].ops) {
      for (Value operand : op->getOperands()) {
        Operation *def = getViewBase(operand).getDefiningOp();
        if (def && groupOf.count(def) && groupOf[def] != group)
          result.insert(groupOf[def]);
        else if (def && isa<hr::RepeatOp>(def))
          for (Value init : def->getOperands())
            if (Operation *source = getViewBase(init).getDefiningOp())
              if (groupOf.count(source) && groupOf[source] != group)
                result.insert(groupOf[source]);
      }
      if (Value base = getOverwritten(op)) {
        SmallVector<OpOperand *> readers;
        collectReaders(base, readers);
        for (OpOperand *use : readers) {
          Operation *reader = use->getOwner();
          if (groupOf.count(reader) && groupOf[reader] != group)
            result.insert(groupOf[reader]);
        }
      }
    }
  }

  /// Whether `from` must run before `to`, other than directly, when the edges
  /// between `a` and `b` are not counted.
  bool reaches(unsigned from, unsigned to) {
    SmallVector<unsigned> work{to};
    DenseSet<unsigned> seen;
    bool first = true;
    while (!work.empty()) {
      unsigned group = work.pop_back_val();
      SetVector<unsigned> before;
      getPredecessors(group, before);
      for (unsigned p : before) {
        if (p == from) {
          if (!first)
            return true;
          continue;
        }
        if (seen.insert(p).second)
          work.push_back(p);
      }
      first = false;
    }
    return false;
  }

  bool tryJoin(unsigned producer, unsigned consumer) {
    // What has to run between the two, stays there.
    if (reaches(producer, consumer) || reaches(consumer, producer))
      return false;
    // Views through a repeat's results order things that groups do not show.
    SmallVector<Operation *> together(groups[producer].ops);
    llvm::append_range(together, groups[consumer].ops);
    sortOps(together);
    auto refuse = [&](StringRef reason) {
      groups[consumer].ops.back()->emitRemark("cannot join its producer: ")
          << reason;
      return false;
    };
    // A repeat between the two must stay between them.
    for (Operation &op : *block)
      if (isa<hr::RepeatOp>(op) && together.front()->isBeforeInBlock(&op) &&
          op.isBeforeInBlock(together.back()))
        return refuse("repeated layers lie between them");
    std::string why;
    std::optional<Facts> facts = plan(together, &why);
    if (!facts)
      return refuse(why);
    const Facts &first = groups[producer].facts;
    const Facts &second = groups[consumer].facts;
    // Beside what computes the positions, a gather would be a copy again.
    if (facts->lookedThrough < first.lookedThrough + second.lookedThrough)
      return refuse("a gather that is read in place would be a copy");
    double apart = first.seconds + second.seconds;
    // Fewer and larger tiles, of several products each: what is gained by that has
    // to be more than what a prediction may be off by.
    constexpr double worth = 0.99;
    bool chains = facts->chained > first.chained + second.chained;
    auto nanoseconds = [](double time) { return int64_t(time * 1e9); };
    bool isWorth = facts->seconds <= (chains ? worth : 1) * apart;
    groups[consumer].ops.back()->emitRemark(
        isWorth ? "joins its producer: " : "kept apart from its producer: ")
        << nanoseconds(facts->seconds) << " ns together, " << nanoseconds(apart)
        << " ns apart" << (chains ? ", a product behind another" : "");
    if (!isWorth)
      return false;
    groups[producer].alive = false;
    groups[consumer].ops = together;
    groups[consumer].facts = *facts;
    for (Operation *op : together)
      groupOf[op] = consumer;
    return true;
  }

  void joinGroups() {
    SmallVector<Operation *> order;
    for (Operation &op : *block)
      if (isComputeOp(&op))
        order.push_back(&op);
    for (Operation *op : order) {
      bool changed = true;
      while (changed) {
        changed = false;
        unsigned group = groupOf[op];
        // The latest producer first.
        SmallVector<Operation *> producers;
        for (Value operand : op->getOperands()) {
          if (operand == getOverwritten(op))
            continue;
          Operation *def = getViewBase(operand).getDefiningOp();
          if (def && groupOf.count(def) && groupOf[def] != group)
            producers.push_back(def);
        }
        llvm::sort(producers, [](Operation *a, Operation *b) {
          return b->isBeforeInBlock(a);
        });
        for (Operation *producer : producers)
          if (groupOf[producer] != groupOf[op] &&
              tryJoin(groupOf[producer], groupOf[op])) {
            changed = true;
            break;
          }
      }
    }
  }

  /// A weight that contractions alone read, always as a whole; `self` is a
  /// stage whose use of it does not count.
  bool isPackable(Value value, hr::StageOp self = nullptr) {
    auto constant = value.getDefiningOp<hr::ConstantOp>();
    if (!constant || !fuse)
      return false;
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getRank() < 2 || !type.hasStaticShape())
      return false;
    auto module = entry->getParentOfType<ModuleOp>();
    DenseSet<Attribute> names;
    for (Attribute name : constant.getWeights())
      names.insert(name);
    // A vector of a panel has its other indices in common: no loop moves along
    // two dimensions (a diagonal).
    auto movesOnce = [](AffineMap map) {
      for (unsigned loop = 0; loop < map.getNumDims(); ++loop)
        if (llvm::count_if(map.getResults(), [&](AffineExpr expr) {
              return expr.isFunctionOfDim(loop);
            }) > 1)
          return false;
      return true;
    };
    // Through views: a window of one element is a reshape away from a product.
    auto contracts = [&](Value tensor) {
      SmallVector<OpOperand *> readers;
      collectReaders(tensor, readers);
      return llvm::all_of(readers, [&](OpOperand *use) {
        auto linalgOp = dyn_cast<linalg::LinalgOp>(use->getOwner());
        return linalgOp && linalgOp.getNumReductionLoops() > 0 &&
               linalgOp.getNumDpsInputs() == 2 &&
               use->getOperandNumber() < 2 &&
               movesOnce(linalgOp.getMatchingIndexingMap(use));
      });
    };
    bool packable = true;
    module.walk([&](hr::ConstantOp other) {
      if (!llvm::any_of(other.getWeights(),
                        [&](Attribute name) { return names.contains(name); }))
        return;
      SmallVector<OpOperand *> readers;
      collectReaders(other.getResult(), readers);
      for (OpOperand *use : readers) {
        if (auto stage = dyn_cast<hr::StageOp>(use->getOwner())) {
          // In a stage already, unpacked: its layout is taken.
          packable &=
              stage == self && contracts(stage.getBody().getArgument(
                                   use->getOperandNumber()));
          continue;
        }
        packable &= contracts(use->get());
      }
    });
    return packable;
  }

  /// The ops that have to stay before an op.
  using Order = llvm::MapVector<Operation *, SmallVector<Operation *>>;
  struct Reads {
    llvm::SetVector<Value> inputs;
    SmallVector<Operation *> views, locals;
  };
  Order getReadersBeforeWrites();
  void orderEffects(Order &order);
  Reads getReads(const Group &group);
  hr::StageOp createStage(const Group &group);
  LogicalResult createStages();
  LogicalResult fillStage(hr::StageOp stage);
  void sortBlock(const Order &after);
  bool bypassesCaches(hr::StageOp stage, const StageAnalysis &analysis);

  func::FuncOp entry;
  SymbolRanges ranges;
  Planner planner;
  bool fuse;
  unsigned &counter;
  Block *block = nullptr;
  std::vector<Group> groups;
  DenseMap<Operation *, unsigned> groupOf;
};

} // namespace

/// A name that tells what the stage does, for reports and symbols.
static std::string nameStage(ArrayRef<Operation *> ops) {
  std::string name;
  auto append = [&](StringRef part) {
    if (!name.empty())
      name += "_";
    name += part;
  };
  for (Operation *op : ops) {
    if (auto tileable = dyn_cast<hr::TileableOp>(op))
      if (StringRef word = tileable.getStageWord(); !word.empty())
        append(word);
    if (name.size() > 32)
      break;
  }
  return name.empty() ? "map" : name;
}

/// What must stay before what, beyond the values: readers of a buffer before the
/// op that overwrites it.
StageFormer::Order StageFormer::getReadersBeforeWrites() {
  Order after;
  for (Group &group : groups)
    if (group.alive)
      for (Operation *op : group.ops)
        if (Value base = getOverwritten(op)) {
          SmallVector<OpOperand *> readers;
          collectReaders(base, readers);
          for (OpOperand *use : readers) {
            Operation *reader = block->findAncestorOpInBlock(*use->getOwner());
            if (reader && reader != op)
              after[op].push_back(reader);
          }
        }
  return after;
}

/// Reads and writes of one state keep their order.
void StageFormer::orderEffects(Order &order) {
  DenseMap<Attribute, Operation *> lastEffect;
  for (Operation &op : *block) {
    SetVector<Attribute> touched;
    op.walk([&](Operation *inner) {
      if (auto read = dyn_cast<hr::ReadStateOp>(inner))
        touched.insert(read.getStates().begin(), read.getStates().end());
      else if (auto write = dyn_cast<hr::WriteStateOp>(inner))
        touched.insert(write.getStates().begin(), write.getStates().end());
    });
    for (Attribute state : touched) {
      Operation *&last = lastEffect[state];
      if (last && last != &op)
        order[&op].push_back(last);
      last = &op;
    }
  }
}

/// What the ops of a group read: bases from outside, which become inputs of the
/// stage; views and locals (empties, sizes, scalars), which are cloned into it.
StageFormer::Reads StageFormer::getReads(const Group &group) {
  Reads reads;
  DenseSet<Operation *> inside(group.ops.begin(), group.ops.end());
  std::function<void(Value)> visit = [&](Value value) {
    Operation *def = value.getDefiningOp();
    if (def && inside.contains(def))
      return;
    if (def && isViewLike(def)) {
      visit(def->getOperand(0));
      if (!llvm::is_contained(reads.views, def))
        reads.views.push_back(def);
      return;
    }
    if (isa<RankedTensorType>(value.getType()))
      reads.inputs.insert(value);
  };
  for (Operation *op : group.ops)
    for (Value operand : op->getOperands()) {
      Operation *def = operand.getDefiningOp();
      bool overwritten = operand == getOverwritten(op);
      if (def && !overwritten &&
          (isa<tensor::EmptyOp>(def) ||
           !isa<RankedTensorType>(operand.getType()))) {
        for (Value size : def->getOperands())
          if (Operation *sizeOp = size.getDefiningOp())
            if (!llvm::is_contained(reads.locals, sizeOp))
              reads.locals.push_back(sizeOp);
        if (!llvm::is_contained(reads.locals, def))
          reads.locals.push_back(def);
        continue;
      }
      visit(operand);
    }
  return reads;
}

/// Clones a group into a stage, which whoever is outside of the group reads.
hr::StageOp StageFormer::createStage(const Group &group) {
  SmallVector<Value> outputs = getOutputs(group.ops);
  Operation *last = group.ops.back();
  OpBuilder b(last);
  b.setInsertionPointAfter(last);
  Reads reads = getReads(group);
  SmallVector<Type> types;
  for (Value output : outputs)
    types.push_back(output.getType());
  std::string name =
      (entry.getName() + "_" + nameStage(group.ops) + "_" + Twine(counter++))
          .str();
  auto stage = hr::StageOp::create(b, last->getLoc(), types, name,
                                   reads.inputs.getArrayRef(), hr::PlanAttr());
  Block *body = b.createBlock(&stage.getBody());
  IRMapping map;
  for (Value input : reads.inputs)
    map.map(input, body->addArgument(input.getType(), input.getLoc()));
  for (Operation *op : reads.locals)
    b.clone(*op, map);
  // Views and ops in block order; views of ops in the group come after them.
  SmallVector<Operation *> all(reads.views);
  llvm::append_range(all, group.ops);
  llvm::sort(all, [&](Operation *x, Operation *y) {
    if (x->getBlock() == y->getBlock())
      return x->isBeforeInBlock(y);
    // A view from above the repeat: first.
    return x->getBlock() != block;
  });
  for (Operation *op : all)
    b.clone(*op, map);
  SmallVector<Value> yielded;
  for (Value output : outputs)
    yielded.push_back(map.lookup(output));
  hr::YieldOp::create(b, last->getLoc(), yielded);
  DenseSet<Operation *> inside(group.ops.begin(), group.ops.end());
  for (auto [output, result] : llvm::zip(outputs, stage.getResults()))
    output.replaceUsesWithIf(result, [&](OpOperand &use) {
      return !inside.contains(use.getOwner());
    });
  return stage;
}

LogicalResult StageFormer::createStages() {
  Order after = getReadersBeforeWrites();
  DenseMap<Operation *, Operation *> stageOf;
  SmallVector<hr::StageOp> stages;
  for (Group &group : groups) {
    if (!group.alive)
      continue;
    hr::StageOp stage = stages.emplace_back(createStage(group));
    for (Operation *op : group.ops)
      stageOf[op] = stage;
  }

  // Views between ops of one group now read the stage's results, or nothing.
  Order order;
  for (auto &[op, before] : after)
    for (Operation *earlier : before) {
      Operation *to = stageOf.lookup(op);
      Operation *from = stageOf.count(earlier) ? stageOf[earlier] : earlier;
      if (to && to != from)
        order[to].push_back(from);
    }
  orderEffects(order);
  for (Group &group : groups)
    if (group.alive)
      for (Operation *op : llvm::reverse(group.ops)) {
        op->dropAllUses();
        op->erase();
      }
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(block->getOperations())))
    if (isViewLike(&op) && op.use_empty())
      op.erase();
  sortBlock(order);

  for (hr::StageOp stage : stages)
    if (failed(fillStage(stage)))
      return failure();
  // Sizes, empties and weights that only stages used.
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(block->getOperations())))
    if (isa<tensor::EmptyOp, hr::SizeOp, arith::ConstantOp, hr::ConstantOp>(
            op) &&
        op.use_empty())
      op.erase();
  return success();
}

/// Sorts the block so that operands come first, and `after` holds; stable
/// otherwise.
void StageFormer::sortBlock(const Order &after) {
  SmallVector<Operation *> ops;
  for (Operation &op : block->without_terminator())
    ops.push_back(&op);
  DenseMap<Operation *, unsigned> waiting;
  DenseMap<Operation *, SmallVector<Operation *>> followers;
  DenseSet<Operation *> known(ops.begin(), ops.end());
  for (Operation *op : ops) {
    SetVector<Operation *> before;
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (Operation *def = operand.getDefiningOp())
          if (def != op && known.contains(def))
            before.insert(def);
    });
    auto it = after.find(op);
    if (it != after.end())
      for (Operation *earlier : it->second)
        if (known.contains(earlier))
          before.insert(earlier);
    waiting[op] = before.size();
    for (Operation *earlier : before)
      followers[earlier].push_back(op);
  }
  Operation *terminator = block->getTerminator();
  SmallVector<bool> done(ops.size(), false);
  size_t placed = 0;
  // Quadratic at worst; blocks have some hundred ops.
  while (placed < ops.size()) {
    bool progress = false;
    for (auto [i, op] : llvm::enumerate(ops)) {
      if (done[i] || waiting[op] != 0)
        continue;
      done[i] = true;
      ++placed;
      progress = true;
      op->moveBefore(terminator);
      for (Operation *next : followers[op])
        --waiting[next];
      // Start over, so that order changes no more than needed.
      break;
    }
    if (!progress)
      break; // a cycle: createStages never makes one
  }
}

/// Whether the stage's results are better stored past the caches: they leave the
/// program, nobody in the stage reads them, and they are large enough.
bool StageFormer::bypassesCaches(hr::StageOp stage,
                                 const StageAnalysis &analysis) {
  const hw::Figure &from =
      planner.getMachine().getDevice().facts.ntStoreFrom;
  if (from.absent())
    return false;
  for (const auto &node : analysis.getNodes())
    for (const Access &access : node->operands)
      if (access.producer && analysis.isOutput(access.source))
        return false;
  double bytes = 0;
  for (Value result : stage.getResults()) {
    SmallVector<OpOperand *> readers;
    collectReaders(result, readers);
    if (!llvm::all_of(readers, [](OpOperand *use) {
          return isa<func::ReturnOp>(use->getOwner());
        }))
      return false;
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(result);
    if (failed(dims))
      return false;
    double size = double(getElementBytes(getElementTypeOrSelf(result)));
    for (const SizeExpr &dim : *dims)
      size *= double(dim.evaluate(planner.getBindings()).value_or(0));
    bytes += size;
  }
  return bytes >= from.value;
}

LogicalResult StageFormer::fillStage(hr::StageOp stage) {
  // Weights: pack those that a contraction reads along lanes.
  auto create = [&]() -> FailureOr<std::unique_ptr<StageAnalysis>> {
    std::string why;
    FailureOr<std::unique_ptr<StageAnalysis>> analysis =
        StageAnalysis::create(stage, &why);
    if (failed(analysis))
      stage.emitError() << "cannot form a stage: " << why;
    return analysis;
  };
  if (fuse) {
    FailureOr<std::unique_ptr<StageAnalysis>> analysis = create();
    if (failed(analysis))
      return failure();
    // Which inputs are packable was asked of the values outside.
    DenseSet<Value> packableArguments;
    for (auto [arg, input] :
         llvm::zip(stage.getBody().front().getArguments(), stage.getInputs())) {
      auto constant = input.getDefiningOp<hr::ConstantOp>();
      if (constant && isPackable(input, stage))
        packableArguments.insert(arg);
    }
    planner.isPackable = [packableArguments](Value value) {
      return packableArguments.contains(value);
    };
    StagePlan plan = planner.plan(**analysis);
    SmallVector<Packing> wants;
    ArrayRef<Nest> nests = (*analysis)->getNests();
    for (auto [n, nest] : llvm::enumerate(nests)) {
      const Node *node = nest.anchor;
      if (node->kind != NodeKind::Contraction || plan.nests[n].vector < 0 ||
          !node->loops[plan.nests[n].vector].parallel)
        continue;
      auto op = cast<linalg::LinalgOp>(node->op);
      for (unsigned i = 0; i < 2; ++i) {
        if (!node->operands[i].isInput() || node->operands[i].panel ||
            !packableArguments.contains(node->operands[i].source))
          continue;
        AffineMap map =
            op.getMatchingIndexingMap(op.getDpsInputOperand(i));
        const NestPlan &nestPlan = plan.nests[n];
        auto dimOf = [&](int64_t loop) -> std::optional<unsigned> {
          for (auto [d, expr] : llvm::enumerate(map.getResults()))
            if (auto dim = dyn_cast<AffineDimExpr>(expr))
              if (int64_t(dim.getPosition()) == loop)
                return d;
          return std::nullopt;
        };
        std::optional<unsigned> dim = dimOf(nestPlan.vector);
        if (!dim || nestPlan.packs(i))
          continue;
        Packing packing{op, i, *dim,
                        planner.getWeightPanel(**analysis, nest, nestPlan)};
        if (nestPlan.atom) {
          std::optional<unsigned> groupDim = dimOf(nestPlan.group);
          if (!groupDim)
            continue;
          packing.groupDim = *groupDim;
          packing.group =
              getElementTypeOrSelf(op->getResult(0)).getIntOrFloatBitWidth() /
              getElementTypeOrSelf(op->getOperand(i)).getIntOrFloatBitWidth();
        }
        wants.push_back(packing);
      }
    }
    for (const Packing &want : wants)
      if (failed(packWeight(stage, want)))
        return failure();
    // Drop inputs that nothing reads any more.
    Block &body = stage.getBody().front();
    for (unsigned i = body.getNumArguments(); i-- > 0;) {
      SmallVector<Operation *> dead;
      for (Operation *user : body.getArgument(i).getUsers())
        if (isViewLike(user) && user->use_empty())
          dead.push_back(user);
      for (Operation *op : dead)
        op->erase();
      if (body.getArgument(i).use_empty()) {
        body.eraseArgument(i);
        stage.getInputsMutable().erase(i);
      }
    }
    // Other operands that are not contiguous along lanes: copied per tile.
    analysis = create();
    if (failed(analysis))
      return failure();
    planner.isPackable = nullptr;
    plan = planner.plan(**analysis);
    SmallVector<Planner::Repack> repacks =
        planner.getRepacks(**analysis, plan);
    for (Planner::Repack repack : repacks)
      copyOperand(cast<linalg::LinalgOp>(
                      (*analysis)->getNests()[repack.nest].anchor->op),
                  repack.operand);
  }
  FailureOr<std::unique_ptr<StageAnalysis>> analysis = create();
  if (failed(analysis))
    return failure();
  planner.isPackable = nullptr;
  StagePlan plan = planner.plan(**analysis, /*isFinal=*/true);
  plan.bypass = fuse && bypassesCaches(stage, **analysis);
  stage.setPlanAttr(plan.toAttr(stage.getContext()));
  if (fuse) {
    InFlightDiagnostic remark = stage.emitRemark("stage '")
                                << stage.getSymName() << "': tile [";
    llvm::interleaveComma(plan.tile, remark);
    remark << "], predicted " << int64_t(plan.seconds * 1e9) << " ns";
    if (!plan.runnerUp.empty())
      remark << "; runner-up " << plan.runnerUp;
  }
  return success();
}

namespace {
struct FormStagesPass : headrace::impl::FormStagesPassBase<FormStagesPass> {
  using FormStagesPassBase::FormStagesPassBase;

  void runOnOperation() override {
    std::string error;
    FailureOr<hw::System> system = hw::System::load(target, error);
    if (failed(system)) {
      getOperation().emitError() << error;
      return signalPassFailure();
    }
    Planner::Options options;
    options.scalar = !fuse;
    options.quick = quick;
    options.within = within;
    options.emits = getEmits(*system);
    const hw::Device &device = system->getDevice();
    if (std::string text = describeUnemitted(*system); fuse && !text.empty())
      getOperation().emitRemark(text);
    unsigned counter = 0;
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (!hr::isEntry(func))
        continue;
      StageFormer former(func, device, options, counter);
      if (failed(former.run(func.getBody().front())))
        return signalPassFailure();
    }
    // Weights that nobody reads any more leave the program.
    ModuleOp module = getOperation();
    WeightStore &store =
        getContext().getOrLoadDialect<hr::HRDialect>()->getWeights();
    DenseSet<Attribute> used;
    module.walk([&](Operation *op) {
      auto note = [&](ArrayAttr names) {
        used.insert(names.begin(), names.end());
      };
      if (auto constant = dyn_cast<hr::ConstantOp>(op))
        note(constant.getWeights());
      else if (auto state = dyn_cast<hr::StateOp>(op))
        if (state.getInitialAttr())
          used.insert(state.getInitialAttr());
    });
    for (auto weight : llvm::make_early_inc_range(module.getOps<hr::WeightOp>()))
      if (!used.contains(FlatSymbolRefAttr::get(weight.getSymNameAttr()))) {
        store.erase(weight.getSymName());
        weight.erase();
      }
  }
};
} // namespace
