//===- StageAnalysisTest.cpp - Views and classes of a stage ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Plan/StageAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

static SmallVector<SizeExpr> sizes(std::initializer_list<const char *> texts) {
  SmallVector<SizeExpr> result;
  for (const char *text : texts)
    result.push_back(*SizeExpr::parse(text));
  return result;
}

TEST(ReshapeStrides, SplitsAndMergesContiguous) {
  auto from = sizes({"s0", "384"});
  auto to = sizes({"s0", "12", "32"});
  auto strides = reshapeStrides(from, rowMajorStrides(from), to);
  ASSERT_TRUE(strides.has_value());
  EXPECT_EQ(*strides, sizes({"384", "32", "1"}));
  auto back = reshapeStrides(to, *strides, from);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(*back, sizes({"384", "1"}));
}

TEST(ReshapeStrides, ProductsOfSymbols) {
  auto from = sizes({"s0", "s1", "384"});
  auto to = sizes({"s0 * s1", "384"});
  auto strides = reshapeStrides(from, rowMajorStrides(from), to);
  ASSERT_TRUE(strides.has_value());
  EXPECT_EQ(*strides, sizes({"384", "1"}));
}

TEST(ReshapeStrides, TransposedCannotMerge) {
  // [4, 2] with the strides of a transposed [2, 4].
  auto from = sizes({"4", "2"});
  EXPECT_FALSE(reshapeStrides(from, sizes({"1", "4"}), sizes({"8"})));
  // Splitting a dimension of it is fine.
  auto strides = reshapeStrides(from, sizes({"1", "4"}), sizes({"2", "2", "2"}));
  ASSERT_TRUE(strides.has_value());
  EXPECT_EQ(*strides, sizes({"2", "1", "4"}));
}

TEST(ReshapeStrides, UnitDimensionsComeAndGo) {
  auto from = sizes({"1", "s0", "1", "8"});
  auto strides =
      reshapeStrides(from, rowMajorStrides(from), sizes({"s0", "8", "1"}));
  ASSERT_TRUE(strides.has_value());
  EXPECT_EQ((*strides)[0], SizeExpr(8));
  EXPECT_EQ((*strides)[1], SizeExpr(1));
}

TEST(ReshapeStrides, EmptyIsAnything) {
  EXPECT_TRUE(reshapeStrides(sizes({"2", "0"}), sizes({"0", "1"}),
                             sizes({"2", "1", "0"})));
  EXPECT_TRUE(reshapeStrides(sizes({"3", "2", "0"}), sizes({"0", "5", "7"}),
                             sizes({"6", "0"})));
}

TEST(ReshapeStrides, CutsThroughDimensionsFail) {
  auto from = sizes({"6", "4"});
  // A padded row: not contiguous between the dimensions.
  EXPECT_FALSE(reshapeStrides(from, sizes({"5", "1"}), sizes({"24"})));
  EXPECT_FALSE(reshapeStrides(from, sizes({"5", "1"}), sizes({"3", "8"})));
  EXPECT_TRUE(reshapeStrides(from, sizes({"4", "1"}), sizes({"3", "8"})));
}

namespace {
struct StageTest : testing::Test {
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  StageTest() {
    DialectRegistry registry;
    hr::registerTileableModels(registry);
    context.appendDialectRegistry(registry);
    context.loadDialect<hr::HRDialect, linalg::LinalgDialect,
                        arith::ArithDialect, func::FuncDialect,
                        tensor::TensorDialect, math::MathDialect>();
  }
  std::unique_ptr<StageAnalysis> analyze(StringRef body, std::string *why) {
    module = parseSourceString<ModuleOp>(body, &context);
    if (!module)
      return nullptr;
    std::unique_ptr<StageAnalysis> result;
    module->walk([&](hr::StageOp stage) {
      FailureOr<std::unique_ptr<StageAnalysis>> made =
          StageAnalysis::create(stage, why);
      if (succeeded(made))
        result = std::move(*made);
    });
    return result;
  }
};
} // namespace

// x -> row sums -> x / sums: three nests over one class of rows; the columns
// are summed, so they are not tileable.
TEST_F(StageTest, RowClassIsTileableColumnClassIsNot) {
  std::string why;
  auto analysis = analyze(R"mlir(
    func.func @f(%x: tensor<16x32xf32>) {
      %0 = hr.stage @s (%x) : (tensor<16x32xf32>) -> tensor<16x32xf32> {
      ^bb0(%a: tensor<16x32xf32>):
        %c = arith.constant 0.0 : f32
        %er = tensor.empty() : tensor<16xf32>
        %e = tensor.empty() : tensor<16x32xf32>
        %f = linalg.fill ins(%c : f32) outs(%er : tensor<16xf32>) -> tensor<16xf32>
        %m = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
            ins(%a : tensor<16x32xf32>) outs(%e : tensor<16x32xf32>) {
        ^bb0(%p: f32, %o: f32):
          %q = math.exp %p : f32
          linalg.yield %q : f32
        } -> tensor<16x32xf32>
        %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
            ins(%m : tensor<16x32xf32>) outs(%f : tensor<16xf32>) {
        ^bb0(%p: f32, %o: f32):
          %q = arith.addf %o, %p : f32
          linalg.yield %q : f32
        } -> tensor<16xf32>
        %d = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
            ins(%m, %s : tensor<16x32xf32>, tensor<16xf32>) outs(%e : tensor<16x32xf32>) {
        ^bb0(%p: f32, %t: f32, %o: f32):
          %q = arith.divf %p, %t : f32
          linalg.yield %q : f32
        } -> tensor<16x32xf32>
        hr.yield %d : tensor<16x32xf32>
      }
      return
    })mlir", &why);
  ASSERT_TRUE(analysis) << why;
  SmallVector<unsigned> tiles = analysis->getTileClasses();
  ASSERT_EQ(tiles.size(), 1u);
  EXPECT_EQ(analysis->getClasses()[tiles[0]].extent, SizeExpr(16));
  // exp is read by two nests and costly: stored once rather than done twice, and
  // stored while it is summed.
  ASSERT_EQ(analysis->getNests().size(), 2u);
  const Nest &sum = analysis->getNests()[0];
  ASSERT_EQ(sum.prologues.size(), 1u);
  EXPECT_TRUE(sum.prologues[0].map->hasMath);
  EXPECT_EQ(sum.prologues[0].anchorLoops, (SmallVector<unsigned>{0, 1}));
}

// A map that the reduction reads at another point than it is made at cannot be
// stored on the way: the reduction has not come by everywhere in time.
TEST_F(StageTest, BroadcastMapIsNoPrologue) {
  std::string why;
  auto analysis = analyze(R"mlir(
    func.func @f(%x: tensor<16x32xf32>, %y: tensor<32xf32>) {
      %0:2 = hr.stage @s (%x, %y) : (tensor<16x32xf32>, tensor<32xf32>) -> (tensor<16xf32>, tensor<32xf32>) {
      ^bb0(%a: tensor<16x32xf32>, %w: tensor<32xf32>):
        %c = arith.constant 0.0 : f32
        %er = tensor.empty() : tensor<16xf32>
        %e = tensor.empty() : tensor<32xf32>
        %f = linalg.fill ins(%c : f32) outs(%er : tensor<16xf32>) -> tensor<16xf32>
        %m = linalg.generic {indexing_maps = [affine_map<(j) -> (j)>, affine_map<(j) -> (j)>], iterator_types = ["parallel"]}
            ins(%w : tensor<32xf32>) outs(%e : tensor<32xf32>) {
        ^bb0(%p: f32, %o: f32):
          %q = math.exp %p : f32
          linalg.yield %q : f32
        } -> tensor<32xf32>
        %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
            ins(%a, %m : tensor<16x32xf32>, tensor<32xf32>) outs(%f : tensor<16xf32>) {
        ^bb0(%p: f32, %t: f32, %o: f32):
          %q = arith.mulf %p, %t : f32
          %r = arith.maximumf %o, %q : f32
          linalg.yield %r : f32
        } -> tensor<16xf32>
        hr.yield %s, %m : tensor<16xf32>, tensor<32xf32>
      }
      return
    })mlir", &why);
  ASSERT_TRUE(analysis) << why;
  ASSERT_EQ(analysis->getNests().size(), 2u);
  for (const Nest &nest : analysis->getNests())
    EXPECT_TRUE(nest.prologues.empty());
}

// A reduction that reads a part of a map cannot store the rest on the way.
TEST_F(StageTest, PartlyReadMapIsNoPrologue) {
  std::string why;
  auto analysis = analyze(R"mlir(
    func.func @f(%x: tensor<16x32xf32>) {
      %0:2 = hr.stage @s (%x) : (tensor<16x32xf32>) -> (tensor<15xf32>, tensor<16x32xf32>) {
      ^bb0(%a: tensor<16x32xf32>):
        %c = arith.constant 0.0 : f32
        %er = tensor.empty() : tensor<15xf32>
        %e = tensor.empty() : tensor<16x32xf32>
        %f = linalg.fill ins(%c : f32) outs(%er : tensor<15xf32>) -> tensor<15xf32>
        %m = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
            ins(%a : tensor<16x32xf32>) outs(%e : tensor<16x32xf32>) {
        ^bb0(%p: f32, %o: f32):
          %q = math.exp %p : f32
          linalg.yield %q : f32
        } -> tensor<16x32xf32>
        %v = hr.view %m at [#hr.size<"0">, #hr.size<"0">] map affine_map<(i, j) -> (i, j)> dims [#hr.size<"15">, #hr.size<"32">] : tensor<16x32xf32> to tensor<15x32xf32>
        %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
            ins(%v : tensor<15x32xf32>) outs(%f : tensor<15xf32>) {
        ^bb0(%p: f32, %o: f32):
          %q = arith.addf %o, %p : f32
          linalg.yield %q : f32
        } -> tensor<15xf32>
        hr.yield %s, %m : tensor<15xf32>, tensor<16x32xf32>
      }
      return
    })mlir", &why);
  ASSERT_TRUE(analysis) << why;
  for (const Nest &nest : analysis->getNests())
    EXPECT_TRUE(nest.prologues.empty());
}

// Reading a value at another index than it is made at keeps it whole.
TEST_F(StageTest, ShiftedAccessIsNotTileable) {
  std::string why;
  auto analysis = analyze(R"mlir(
    func.func @f(%x: tensor<16xf32>) {
      %0 = hr.stage @s (%x) : (tensor<16xf32>) -> tensor<16xf32> {
      ^bb0(%a: tensor<16xf32>):
        %e = tensor.empty() : tensor<16xf32>
        %m = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
            ins(%a : tensor<16xf32>) outs(%e : tensor<16xf32>) {
        ^bb0(%p: f32, %o: f32):
          %q = math.exp %p : f32
          linalg.yield %q : f32
        } -> tensor<16xf32>
        %v = hr.view %m at [#hr.size<"15">] map affine_map<(d0) -> (-d0)> dims [#hr.size<"16">] : tensor<16xf32> to tensor<16xf32>
        %n = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
            ins(%m, %v : tensor<16xf32>, tensor<16xf32>) outs(%e : tensor<16xf32>) {
        ^bb0(%p: f32, %t: f32, %o: f32):
          %q = arith.addf %p, %t : f32
          linalg.yield %q : f32
        } -> tensor<16xf32>
        hr.yield %n : tensor<16xf32>
      }
      return
    })mlir", &why);
  ASSERT_TRUE(analysis) << why;
  EXPECT_TRUE(analysis->getTileClasses().empty());
}

// x[i] * x[j]: the two loops of the product run over one value, and are two.
TEST_F(StageTest, ValueReadAtTwoLoopsIsWholeForOne) {
  std::string why;
  auto analysis = analyze(R"mlir(
    func.func @f(%x: tensor<16xf32>) {
      %0 = hr.stage @s (%x) : (tensor<16xf32>) -> tensor<16x16xf32> {
      ^bb0(%a: tensor<16xf32>):
        %e = tensor.empty() : tensor<16xf32>
        %f = tensor.empty() : tensor<16x16xf32>
        %m = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
            ins(%a : tensor<16xf32>) outs(%e : tensor<16xf32>) {
        ^bb0(%p: f32, %o: f32):
          %q = arith.negf %p : f32
          linalg.yield %q : f32
        } -> tensor<16xf32>
        %n = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
            ins(%m, %m : tensor<16xf32>, tensor<16xf32>) outs(%f : tensor<16x16xf32>) {
        ^bb0(%p: f32, %t: f32, %o: f32):
          %q = arith.mulf %p, %t : f32
          linalg.yield %q : f32
        } -> tensor<16x16xf32>
        hr.yield %n : tensor<16x16xf32>
      }
      return
    })mlir", &why);
  ASSERT_TRUE(analysis) << why;
  const Node *product = analysis->getNodes()[1].get();
  EXPECT_NE(product->loops[0].cls, product->loops[1].cls);
  // Along the other, all of the value is needed at once.
  for (unsigned cls : analysis->getTileClasses())
    EXPECT_FALSE(llvm::is_contained(analysis->getClasses()[cls].members,
                                    analysis->getNodes()[0].get()));
}

// What reads a sum at two points cannot be done where the sum is at one.
TEST_F(StageTest, SumReadTransposedHasNoEpilogue) {
  auto build = [](const char *map) {
    return std::string(R"mlir(
    func.func @f(%x: tensor<16x16x8xf32>) {
      %0 = hr.stage @s (%x) : (tensor<16x16x8xf32>) -> tensor<16x16xf32> {
      ^bb0(%a: tensor<16x16x8xf32>):
        %c = arith.constant 0.0 : f32
        %e = tensor.empty() : tensor<16x16xf32>
        %f = linalg.fill ins(%c : f32) outs(%e : tensor<16x16xf32>) -> tensor<16x16xf32>
        %s = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
            ins(%a : tensor<16x16x8xf32>) outs(%f : tensor<16x16xf32>) {
        ^bb0(%p: f32, %o: f32):
          %q = arith.addf %o, %p : f32
          linalg.yield %q : f32
        } -> tensor<16x16xf32>
        %n = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, )mlir") +
           map + R"mlir(, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
            ins(%s, %s : tensor<16x16xf32>, tensor<16x16xf32>) outs(%e : tensor<16x16xf32>) {
        ^bb0(%p: f32, %t: f32, %o: f32):
          %q = arith.addf %p, %t : f32
          linalg.yield %q : f32
        } -> tensor<16x16xf32>
        hr.yield %n : tensor<16x16xf32>
      }
      return
    })mlir";
  };
  std::string why;
  auto analysis = analyze(build("affine_map<(i, j) -> (i, j)>"), &why);
  ASSERT_TRUE(analysis) << why;
  EXPECT_EQ(analysis->getNests().size(), 1u);
  for (const char *map :
       {"affine_map<(i, j) -> (j, i)>", "affine_map<(i, j) -> (0, j)>"}) {
    analysis = analyze(build(map), &why);
    ASSERT_TRUE(analysis) << why;
    EXPECT_EQ(analysis->getNests().size(), 2u) << map;
  }
}

// Tiles of a region whose place along a dimension is symbolic cannot be told
// apart there: it is not cut.
TEST_F(StageTest, UpdateAtSymbolIsNotTiledAlongIt) {
  std::string why;
  auto analysis = analyze(R"mlir(
    func.func @f(%x: tensor<?x64xf32> {hr.dims = [#hr.size<"2 * s">, #hr.size<"64">]}, %y: tensor<?x64xf32> {hr.dims = [#hr.size<"s">, #hr.size<"64">]}) attributes {hr.symbols = [#hr.symbol<"s", 2, 64>]} {
      %0 = hr.stage @s (%x, %y) : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32> {
      ^bb0(%a: tensor<?x64xf32>, %b: tensor<?x64xf32>):
        %u = hr.update %a with %b at [#hr.size<"s">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> : tensor<?x64xf32>, tensor<?x64xf32>
        hr.yield %u : tensor<?x64xf32>
      }
      return
    })mlir", &why);
  ASSERT_TRUE(analysis) << why;
  SmallVector<unsigned> tiles = analysis->getTileClasses();
  ASSERT_EQ(tiles.size(), 1u);
  EXPECT_EQ(analysis->getClasses()[tiles[0]].extent, SizeExpr(64));
}

// What is overwritten may be read on the way to what overwrites it; not by
// another value, which is stored after it.
TEST_F(StageTest, ReadingWhatIsOverwritten) {
  auto build = [](const char *operand) {
    return std::string(R"mlir(
    func.func @f(%x: tensor<16xf32>, %y: tensor<16xf32>) {
      %0:2 = hr.stage @s (%x, %y) : (tensor<16xf32>, tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
      ^bb0(%a: tensor<16xf32>, %b: tensor<16xf32>):
        %e = tensor.empty() : tensor<16xf32>
        %m = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
            ins(%a, %b : tensor<16xf32>, tensor<16xf32>) outs(%e : tensor<16xf32>) {
        ^bb0(%p: f32, %q: f32, %o: f32):
          %r = arith.addf %p, %q : f32
          linalg.yield %r : f32
        } -> tensor<16xf32>
        %n = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
            ins()mlir") +
           operand + R"mlir( : tensor<16xf32>) outs(%e : tensor<16xf32>) {
        ^bb0(%p: f32, %o: f32):
          %r = arith.negf %p : f32
          linalg.yield %r : f32
        } -> tensor<16xf32>
        %u = hr.update %a with %m at [#hr.size<"0">] map affine_map<(d0) -> (d0)> : tensor<16xf32>, tensor<16xf32>
        hr.yield %u, %n : tensor<16xf32>, tensor<16xf32>
      }
      return
    })mlir";
  };
  std::string why;
  EXPECT_TRUE(analyze(build("%b"), &why)) << why;
  for (const char *other : {"%a", "%m"}) {
    EXPECT_FALSE(analyze(build(other), &why)) << other;
    EXPECT_NE(why.find("what is overwritten is read elsewhere"),
              std::string::npos)
        << why;
  }
}

// A buffer that the stage updates cannot be read there as a value.
TEST_F(StageTest, ReadingAnUpdatedBufferIsRefused) {
  std::string why;
  auto analysis = analyze(R"mlir(
    func.func @f(%x: tensor<16xf32>, %y: tensor<4xf32>) {
      %0:2 = hr.stage @s (%x, %y) : (tensor<16xf32>, tensor<4xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
      ^bb0(%a: tensor<16xf32>, %b: tensor<4xf32>):
        %u = hr.update %a with %b at [#hr.size<"2">] map affine_map<(d0) -> (d0)> : tensor<16xf32>, tensor<4xf32>
        %e = tensor.empty() : tensor<16xf32>
        %m = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
            ins(%u : tensor<16xf32>) outs(%e : tensor<16xf32>) {
        ^bb0(%p: f32, %o: f32):
          %q = arith.negf %p : f32
          linalg.yield %q : f32
        } -> tensor<16xf32>
        hr.yield %u, %m : tensor<16xf32>, tensor<16xf32>
      }
      return
    })mlir", &why);
  EXPECT_FALSE(analysis);
  EXPECT_NE(why.find("updated buffer"), std::string::npos) << why;
}

/// A product of the rows of %x with matrices out of a table; `positions` is the
/// stage's code for %p, `rows` that for the product %r.
static std::string gatheredProduct(StringRef positions, StringRef rows,
                                   StringRef result) {
  return (R"mlir(
    func.func @f(%t: tensor<8x32x16xf32>, %i: tensor<4xi64>, %x: tensor<4x16xf32>) {
      %0 = hr.stage @s (%t, %i, %x) : (tensor<8x32x16xf32>, tensor<4xi64>, tensor<4x16xf32>) -> )mlir" +
          result + R"mlir( {
      ^bb0(%table: tensor<8x32x16xf32>, %q: tensor<4xi64>, %a: tensor<4x16xf32>):
        %c = arith.constant 0.0 : f32
        )mlir" +
          positions + R"mlir(
        %m = hr.gather %table[%p] map affine_map<(s, n, k) -> (0, n, k)>
            indices [affine_map<(s, n, k) -> (s)>] source_dims [0, -1, -1]
            dims [#hr.size<"4">, #hr.size<"32">, #hr.size<"16">] what "index" wrap
            : tensor<8x32x16xf32>, (tensor<4xi64>) -> tensor<4x32x16xf32>
        %e = tensor.empty() : )mlir" +
          result + R"mlir(
        %z = linalg.fill ins(%c : f32) outs(%e : )mlir" +
          result + ") -> " + result + rows + R"mlir(
        hr.yield %r : )mlir" +
          result + R"mlir(
      }
      return
    })mlir")
      .str();
}

static constexpr const char *productPerToken = R"mlir(
        %r = linalg.generic {indexing_maps = [affine_map<(s, n, k) -> (s, k)>, affine_map<(s, n, k) -> (s, n, k)>, affine_map<(s, n, k) -> (s, n)>], iterator_types = ["parallel", "parallel", "reduction"]}
            ins(%a, %m : tensor<4x16xf32>, tensor<4x32x16xf32>) outs(%z : tensor<4x32xf32>) {
        ^bb0(%u: f32, %v: f32, %o: f32):
          %w = arith.mulf %u, %v : f32
          %y = arith.addf %o, %w : f32
          linalg.yield %y : f32
        } -> tensor<4x32xf32>)mlir";

// A matrix per token: read where it lies in the table.
TEST_F(StageTest, ProductSeesThroughGather) {
  std::string why;
  auto analysis = analyze(
      gatheredProduct("%p = hr.view %q at [#hr.size<\"0\">] map affine_map<(d0) "
                      "-> (d0)> dims [#hr.size<\"4\">] : tensor<4xi64> to "
                      "tensor<4xi64>",
                      productPerToken, "tensor<4x32xf32>"),
      &why);
  ASSERT_TRUE(analysis) << why;
  ASSERT_EQ(analysis->getNests().size(), 1u);
  const Node *product = analysis->getNests()[0].anchor;
  ASSERT_EQ(product->kind, NodeKind::Contraction);
  const Access &matrix = product->operands[1];
  ASSERT_TRUE(matrix.gather);
  EXPECT_TRUE(analysis->isLookedThrough(matrix.gather));
  EXPECT_EQ(matrix.source, analysis->getNodes()[0]->op->getBlock()->getArgument(0));
  EXPECT_EQ(matrix.address.coef,
            (SmallVector<SizeExpr>{SizeExpr(0), SizeExpr(16), SizeExpr(1)}));
  EXPECT_TRUE(matrix.dependsOn(0));
  EXPECT_TRUE(matrix.dataLoops.test(0));
  EXPECT_FALSE(matrix.dataLoops.test(1));
}

// Positions that the stage computes are not all there when a tile begins.
TEST_F(StageTest, ProductDoesNotSeeThroughComputedPositions) {
  std::string why;
  auto analysis = analyze(
      gatheredProduct(R"mlir(%ei = tensor.empty() : tensor<4xi64>
        %p = linalg.generic {indexing_maps = [affine_map<(s) -> (s)>, affine_map<(s) -> (s)>], iterator_types = ["parallel"]}
            ins(%q : tensor<4xi64>) outs(%ei : tensor<4xi64>) {
        ^bb0(%u: i64, %o: i64):
          %v = arith.addi %u, %u : i64
          linalg.yield %v : i64
        } -> tensor<4xi64>)mlir",
                      productPerToken, "tensor<4x32xf32>"),
      &why);
  ASSERT_TRUE(analysis) << why;
  for (const auto &node : analysis->getNodes())
    for (const Access &access : node->operands)
      EXPECT_FALSE(access.gather);
}

// The same rows for all: there are columns beside the positions.
TEST_F(StageTest, ProductOfSharedRowsSeesThroughGather) {
  std::string why;
  auto analysis = analyze(
      gatheredProduct("%p = hr.view %q at [#hr.size<\"0\">] map affine_map<(d0) "
                      "-> (d0)> dims [#hr.size<\"4\">] : tensor<4xi64> to "
                      "tensor<4xi64>",
                      R"mlir(
        %r = linalg.generic {indexing_maps = [affine_map<(s, n, j, k) -> (j, k)>, affine_map<(s, n, j, k) -> (s, n, k)>, affine_map<(s, n, j, k) -> (s, n, j)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
            ins(%a, %m : tensor<4x16xf32>, tensor<4x32x16xf32>) outs(%z : tensor<4x32x4xf32>) {
        ^bb0(%u: f32, %v: f32, %o: f32):
          %w = arith.mulf %u, %v : f32
          %y = arith.addf %o, %w : f32
          linalg.yield %y : f32
        } -> tensor<4x32x4xf32>)mlir",
                      "tensor<4x32x4xf32>"),
      &why);
  ASSERT_TRUE(analysis) << why;
  ASSERT_EQ(analysis->getNests().size(), 1u);
  const Access &matrix = analysis->getNests()[0].anchor->operands[1];
  ASSERT_TRUE(matrix.gather);
  EXPECT_TRUE(matrix.dataLoops.test(0));
}

// Rows from anywhere, times one matrix: together they fill a register tile, each
// by itself does not.
TEST_F(StageTest, ProductDoesNotSeeThroughGatheredRows) {
  std::string why;
  auto analysis = analyze(R"mlir(
    func.func @f(%t: tensor<8x16xf32>, %i: tensor<4xi64>, %x: tensor<32x16xf32>) {
      %0 = hr.stage @s (%t, %i, %x) : (tensor<8x16xf32>, tensor<4xi64>, tensor<32x16xf32>) -> tensor<4x32xf32> {
      ^bb0(%table: tensor<8x16xf32>, %p: tensor<4xi64>, %a: tensor<32x16xf32>):
        %c = arith.constant 0.0 : f32
        %m = hr.gather %table[%p] map affine_map<(s, k) -> (0, k)>
            indices [affine_map<(s, k) -> (s)>] source_dims [0, -1]
            dims [#hr.size<"4">, #hr.size<"16">] what "index"
            : tensor<8x16xf32>, (tensor<4xi64>) -> tensor<4x16xf32>
        %e = tensor.empty() : tensor<4x32xf32>
        %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x32xf32>) -> tensor<4x32xf32>
        %r = linalg.generic {indexing_maps = [affine_map<(s, n, k) -> (s, k)>, affine_map<(s, n, k) -> (n, k)>, affine_map<(s, n, k) -> (s, n)>], iterator_types = ["parallel", "parallel", "reduction"]}
            ins(%m, %a : tensor<4x16xf32>, tensor<32x16xf32>) outs(%z : tensor<4x32xf32>) {
        ^bb0(%u: f32, %v: f32, %o: f32):
          %w = arith.mulf %u, %v : f32
          %y = arith.addf %o, %w : f32
          linalg.yield %y : f32
        } -> tensor<4x32xf32>
        hr.yield %r : tensor<4x32xf32>
      }
      return
    })mlir", &why);
  ASSERT_TRUE(analysis) << why;
  for (const auto &node : analysis->getNodes())
    for (const Access &access : node->operands)
      EXPECT_FALSE(access.gather);
}
