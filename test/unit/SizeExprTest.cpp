//===- SizeExprTest.cpp - Tests of canonical size expressions -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rules are checked by example, and all of them together by random expressions
// whose value is compared with that of an evaluator without any rule.
//
//===----------------------------------------------------------------------===//
#include "headrace/Support/SizeExpr.h"
#include "gtest/gtest.h"
#include <random>

using namespace mlir;
using namespace headrace;

static SizeExpr parse(llvm::StringRef text) {
  std::string error;
  FailureOr<SizeExpr> result = SizeExpr::parse(text, &error);
  EXPECT_TRUE(succeeded(result)) << text.str() << ": " << error;
  return succeeded(result) ? *result : SizeExpr();
}

static std::string canonical(llvm::StringRef text) { return parse(text).str(); }

static std::string errorOf(llvm::StringRef text) {
  std::string error;
  EXPECT_TRUE(failed(SizeExpr::parse(text, &error))) << text.str();
  return error;
}

TEST(SizeExpr, PolynomialsAreCanonical) {
  EXPECT_EQ(canonical("s0"), "s0");
  EXPECT_EQ(canonical("0 * s0"), "0");
  EXPECT_EQ(canonical("4 + s1 * s0"), "s0 * s1 + 4");
  EXPECT_EQ(canonical("s0 - s0 + 3 - 5"), "-2");
  EXPECT_EQ(canonical("2 * s0 - s1"), "2 * s0 - s1");
  EXPECT_EQ(canonical("-(s0 floordiv 2)"), "-(s0 floordiv 2)");
  EXPECT_EQ(parse("(a + b) * (a - b)"), parse("a * a - b * b"));
  EXPECT_EQ(parse("(a + 1) * b"), parse("b * a + b"));
  EXPECT_NE(parse("a * b"), parse("a + b"));
  EXPECT_EQ(parse("-9223372036854775808").getConstant(), INT64_MIN);
}

TEST(SizeExpr, WhatDoesNotFitIsUnknown) {
  for (StringRef text :
       {"9223372036854775807 + 1", "9223372036854775807 * s0 + s0",
        "4294967296 * s0 * 4294967296", "-9223372036854775808 floordiv -1",
        "(4294967296 * s0 + 1) * (4294967296 * s1 + 1)",
        "-9223372036854775808 * s0 * -1", "1 - -9223372036854775808",
        "min(s0, 9223372036854775807 + 1)", "(9223372036854775807 + 2) mod 3",
        "(9223372036854775807 + 2) floordiv 2 - s0"}) {
    SizeExpr expr = parse(text);
    EXPECT_EQ(expr.str(), "?") << text.str();
    // Neither it nor what is made of it is proved to be anything.
    SymbolRanges ranges{{"s0", {0, 4}}, {"s1", {0, 4}}};
    EXPECT_EQ(expr.bounds(ranges), Interval{}) << text.str();
    EXPECT_FALSE(expr.isLessEqual(SizeExpr(INT64_MAX), ranges));
    EXPECT_FALSE(SizeExpr(INT64_MIN).isLessEqual(expr, ranges));
    EXPECT_FALSE(expr.isLessEqual(expr, ranges));
    EXPECT_FALSE(expr == parse(text));
    EXPECT_TRUE(expr != parse(text));
    EXPECT_EQ((expr - expr).str(), "?");
    EXPECT_EQ((expr * SizeExpr(0)).str(), "0");
    EXPECT_EQ(expr.evaluate({{"s0", 1}, {"s1", 1}}), std::nullopt);
    EXPECT_EQ(expr.getConstant(), std::nullopt);
    EXPECT_EQ(expr.getSymbol(), std::nullopt);
    EXPECT_EQ(expr.exactDiv(SizeExpr(2)), std::nullopt);
    EXPECT_FALSE(expr.isMultipleOf(2));
    EXPECT_EQ(expr.simplify(ranges).str(), "?");
    EXPECT_EQ(SizeExpr::coverMax(expr, SizeExpr(1), ranges).str(), "?");
    EXPECT_EQ(parse(expr.str()).str(), "?");
  }
  // By substitution, too.
  SizeExpr large = parse("4294967296 * s0").substitute(
      [](StringRef) -> std::optional<SizeExpr> {
        return parse("4294967296 * s1");
      });
  EXPECT_EQ(large.str(), "?");
}

TEST(SizeExpr, DivisionSimplifies) {
  EXPECT_EQ(canonical("7 floordiv 2"), "3");
  EXPECT_EQ(canonical("-7 floordiv 2"), "-4");
  EXPECT_EQ(canonical("7 floordiv -2"), "-4");
  EXPECT_EQ(canonical("(4 * s0) floordiv 2"), "2 * s0");
  EXPECT_EQ(canonical("(4 * s0 + 6) floordiv 4"), "s0 + 1");
  EXPECT_EQ(canonical("(2 * s0 + 1) floordiv 4"), "s0 floordiv 2");
  EXPECT_EQ(canonical("(s0 + 9) floordiv 4"), "((s0 + 1) floordiv 4) + 2");
  EXPECT_EQ(canonical("(s0 floordiv 2) floordiv 3"), "s0 floordiv 6");
  EXPECT_EQ(canonical("(s0 * s1) floordiv s1"), "s0");
  EXPECT_EQ(canonical("(s0 * s1 + 3) floordiv s1"), "s0 + (3 floordiv s1)");
  EXPECT_EQ(canonical("s0 ceildiv 4"), "(s0 + 3) floordiv 4");
  EXPECT_EQ(canonical("7 ceildiv 2"), "4");
  EXPECT_EQ(canonical("-7 ceildiv 2"), "-3");
}

TEST(SizeExpr, RemainderSimplifies) {
  EXPECT_EQ(canonical("-7 mod 4"), "1");
  EXPECT_EQ(canonical("7 mod -4"), "-1");
  EXPECT_EQ(canonical("(4 * s0 + 6) mod 4"), "2");
  EXPECT_EQ(canonical("(6 * s0) mod 4"), "2 * (s0 mod 2)");
  EXPECT_EQ(canonical("(s0 * s1) mod s1"), "0");
  EXPECT_EQ(canonical("(s0 mod 8) mod 8"), "s0 mod 8");
}

TEST(SizeExpr, ExtremaSimplify) {
  EXPECT_EQ(canonical("min(s0, s0 + 1)"), "s0");
  EXPECT_EQ(canonical("max(s0, s0 + 1)"), "s0 + 1");
  EXPECT_EQ(parse("min(a, min(b, c))"), parse("min(min(c, a), b)"));
  EXPECT_EQ(canonical("min(4, min(s0, 9))"), canonical("min(s0, 4)"));
  EXPECT_NE(parse("min(a, b)"), parse("max(a, b)"));
}

TEST(SizeExpr, DividesExactly) {
  EXPECT_EQ(parse("6 * a * b + 3 * a").exactDiv(parse("3 * a")),
            parse("2 * b + 1"));
  EXPECT_EQ(parse("(a + 1) * (b + 2)").exactDiv(parse("b + 2")),
            parse("a + 1"));
  EXPECT_FALSE(parse("a * b + 1").exactDiv(parse("a")));
  EXPECT_FALSE(parse("a").exactDiv(SizeExpr(0)));
  EXPECT_EQ(SizeExpr(0).exactDiv(parse("a")), SizeExpr(0));
}

TEST(SizeExpr, KnowsMultiples) {
  EXPECT_TRUE(parse("8 * a + 12").isMultipleOf(4));
  EXPECT_FALSE(parse("8 * a + 12").isMultipleOf(8));
  EXPECT_TRUE(parse("min(8 * a, 16) * 3").isMultipleOf(24));
  EXPECT_TRUE(SizeExpr(0).isMultipleOf(7));
  EXPECT_FALSE(parse("a floordiv 4").isMultipleOf(4));
}

TEST(SizeExpr, BoundsAndComparison) {
  SymbolRanges ranges;
  ranges["a"] = {1, 64};
  ranges["b"] = {2, 512};
  EXPECT_EQ(parse("a * b").bounds(ranges), (Interval{2, 32768}));
  EXPECT_EQ(parse("a * b - a").bounds(ranges).min, 1);
  EXPECT_EQ(parse("a mod 8").bounds(ranges), (Interval{0, 7}));
  EXPECT_EQ(parse("b floordiv 4").bounds(ranges), (Interval{0, 128}));
  EXPECT_EQ(parse("unlisted").bounds(ranges).min, 0);
  EXPECT_EQ(parse("unlisted").bounds(ranges).max, INT64_MAX);
  EXPECT_TRUE(parse("min(a, 8)").isLessEqual(parse("a"), ranges));
  EXPECT_TRUE(parse("a").isLessEqual(parse("max(a, b)"), ranges));
  EXPECT_TRUE(parse("a").isLessEqual(parse("a * b"), ranges));
  EXPECT_FALSE(parse("b").isLessEqual(parse("a"), ranges));
  EXPECT_TRUE(parse("8 * (a floordiv 8)").isLessEqual(parse("a"), ranges));
  EXPECT_TRUE(parse("a").isLessEqual(parse("8 * (a ceildiv 8)"), ranges));
}

TEST(SizeExpr, EvaluatesOrRefuses) {
  SymbolBindings bindings;
  bindings["a"] = 3;
  bindings["z"] = 0;
  bindings["big"] = INT64_MAX;
  EXPECT_EQ(parse("2 * a * a - 1").evaluate(bindings), 17);
  EXPECT_EQ(parse("b").evaluate(bindings), std::nullopt);
  EXPECT_EQ(parse("a floordiv z").evaluate(bindings), std::nullopt);
  EXPECT_EQ(parse("big + 1").evaluate(bindings), std::nullopt);
  EXPECT_EQ(parse("big * big * big").evaluate(bindings), std::nullopt);
}

TEST(SizeExpr, CoverMaxGrowsWithMonomialsOnly) {
  SymbolRanges ranges;
  ranges["a"] = {1, 100};
  ranges["b"] = {1, 100};
  auto cover = [&](llvm::StringRef x, llvm::StringRef y) {
    return SizeExpr::coverMax(parse(x), parse(y), ranges).str();
  };
  EXPECT_EQ(cover("4 * a + b", "a + 8 * b"), "4 * a + 8 * b");
  EXPECT_EQ(cover("a", "a + 3"), "a + 3");
  EXPECT_EQ(cover("a - b", "2 * a"), "2 * a");
  // Maxima inside are covered too, so that they do not pile up.
  EXPECT_EQ(cover("max(4 * a, b) + 2 * b", "5 * a"), "5 * a + 3 * b");
  // What may be negative is not dropped.
  ranges["c"] = {-4, 4};
  EXPECT_EQ(cover("a + c", "a"), "max(a, a + c)");
}

TEST(SizeExpr, ParseErrorsSayWhatAndWhere) {
  EXPECT_EQ(errorOf(""), "expected an operand at column 1");
  EXPECT_EQ(errorOf("a +"), "expected an operand at column 4");
  EXPECT_EQ(errorOf("(a"), "expected ')' at column 3");
  EXPECT_EQ(errorOf("min(a)"), "expected ',' at column 6");
  EXPECT_EQ(errorOf("a b"), "expected an operator or the end at column 3");
  EXPECT_EQ(errorOf("a floordiv 0"), "division by zero at column 2");
  EXPECT_EQ(errorOf("9223372036854775808"),
            "expected an integer of 64 bits at column 1");
  std::string deep(100000, '(');
  EXPECT_NE(errorOf(deep).find("nested too deeply"), std::string::npos);
  std::string chain = "a";
  for (unsigned i = 0; i != 20000; ++i)
    chain += i % 2 ? " mod c" : " floordiv b";
  EXPECT_NE(errorOf(chain).find("nested too deeply"), std::string::npos);
}

namespace {
/// Evaluates in post order, as code made from an expression would.
struct StackMachine : SizeExpr::Visitor {
  explicit StackMachine(const SymbolBindings &bindings) : bindings(bindings) {}
  void constant(int64_t value) override { stack.push_back(value); }
  void symbol(llvm::StringRef name) override {
    stack.push_back(bindings.lookup(name));
  }
  void binary(llvm::StringRef op) override {
    int64_t b = stack.back();
    stack.pop_back();
    int64_t &a = stack.back();
    auto floorDiv = [](int64_t x, int64_t y) {
      int64_t q = x / y;
      return q * y != x && (x < 0) != (y < 0) ? q - 1 : q;
    };
    if (op == "+")
      a += b;
    else if (op == "*")
      a *= b;
    else if (op == "floordiv")
      a = floorDiv(a, b);
    else if (op == "mod")
      a -= floorDiv(a, b) * b;
    else if (op == "min")
      a = std::min(a, b);
    else
      a = std::max(a, b);
  }
  const SymbolBindings &bindings;
  std::vector<int64_t> stack;
};
} // namespace

TEST(SizeExpr, RandomExpressionsKeepTheirValue) {
  std::mt19937 random(7);
  auto pick = [&](int n) { return int(random() % n); };
  for (unsigned trial = 0; trial != 500; ++trial) {
    SymbolBindings bindings;
    SymbolRanges ranges;
    const char *names[] = {"a", "b", "c"};
    for (const char *name : names) {
      int64_t min = 1 + pick(4), max = min + pick(20);
      bindings[name] = min + pick(max - min + 1);
      ranges[name] = {min, max};
    }
    // Pairs of a canonical expression and its value computed plainly.
    std::vector<std::pair<SizeExpr, int64_t>> pool;
    for (const char *name : names)
      pool.emplace_back(SizeExpr::symbol(name), bindings[name]);
    for (int i = 0; i != 8; ++i) {
      auto [x, xv] = pool[pick(pool.size())];
      auto [y, yv] = pool[pick(pool.size())];
      if (pick(3) == 0)
        y = yv = pick(13) - 4;
      auto floorDiv = [](int64_t p, int64_t q) {
        int64_t d = p / q;
        return d * q != p && (p < 0) != (q < 0) ? d - 1 : d;
      };
      switch (pick(6)) {
      case 0:
        pool.emplace_back(x + y, xv + yv);
        break;
      case 1:
        if (x.size() < 20 && y.size() < 20)
          pool.emplace_back(x * y, xv * yv);
        break;
      case 2:
        // A symbolic divisor is assumed not to be zero for any binding.
        if (y.isConstant() ? yv != 0 : y.bounds(ranges).min > 0)
          pool.emplace_back(x.floorDiv(y), floorDiv(xv, yv));
        break;
      case 3:
        if (y.isConstant() ? yv != 0 : y.bounds(ranges).min > 0)
          pool.emplace_back(x.mod(y), xv - floorDiv(xv, yv) * yv);
        break;
      case 4:
        pool.emplace_back(SizeExpr::min(x, y), std::min(xv, yv));
        break;
      case 5:
        pool.emplace_back(x - SizeExpr::max(x, y), xv - std::max(xv, yv));
        break;
      }
    }
    for (unsigned i = 1; i < pool.size(); ++i) {
      SizeExpr x = pool[i - 1].first, y = pool[i].first;
      SizeExpr cover = SizeExpr::coverMax(x, y, ranges);
      ASSERT_GE(cover.evaluate(bindings), std::max(pool[i - 1].second,
                                                   pool[i].second))
          << x.str() << " and " << y.str() << " under " << cover.str();
    }
    for (auto &[expr, value] : pool) {
      ASSERT_EQ(expr.evaluate(bindings), value) << expr.str();
      ASSERT_EQ(parse(expr.str()), expr) << expr.str();
      ASSERT_EQ(parse(expr.str()).str(), expr.str());
      StackMachine machine(bindings);
      expr.visit(machine);
      ASSERT_EQ(machine.stack, std::vector<int64_t>{value}) << expr.str();
      Interval bounds = expr.bounds(ranges);
      ASSERT_LE(bounds.min, value) << expr.str();
      ASSERT_GE(bounds.max, value) << expr.str();
      EXPECT_EQ(expr.substitute([](llvm::StringRef) { return std::nullopt; }),
                expr);
      auto bound = [&](llvm::StringRef name) {
        return SizeExpr(bindings.lookup(name));
      };
      EXPECT_EQ(expr.substitute(bound).getConstant(), value) << expr.str();
      for (auto &[other, otherValue] : pool)
        if (expr.isLessEqual(other, ranges))
          ASSERT_LE(value, otherValue) << expr.str() << " vs " << other.str();
    }
  }
}

TEST(SizeExpr, Simplify) {
  SizeExpr s = SizeExpr::symbol("s"), t = SizeExpr::symbol("t");
  SymbolRanges ranges;
  ranges["s"] = {2, 10};
  ranges["t"] = {20, 20};
  EXPECT_EQ(SizeExpr::max(s, 1).simplify(ranges), s);
  EXPECT_EQ((SizeExpr::min(s, t) * 3 + 1).simplify(ranges), s * 3 + 1);
  EXPECT_EQ(s.floorDiv(16).simplify(ranges), SizeExpr(0));
  EXPECT_EQ(SizeExpr::max(s, 5).simplify(ranges), SizeExpr::max(s, 5));
  // A symbol by itself is what binds it.
  EXPECT_EQ(t.simplify(ranges), t);
}

// Ends of blocks that lie on one another: what is below each is a maximum of
// what is below that, deeper than quotients could be estimated.
TEST(SizeExpr, MaximaOfSumsOfMaxima) {
  SizeExpr s = SizeExpr::symbol("s"), t = SizeExpr::symbol("t");
  SymbolRanges ranges;
  ranges["s"] = {1, 512};
  ranges["t"] = {1, 64};
  SizeExpr below = (s * t * 3 + 15).floorDiv(16) * 64;
  SizeExpr end = below + s * t * 4;
  SizeExpr padded = below + (s * t + 15).floorDiv(16) * 64;
  EXPECT_TRUE(end.isLessEqual(padded, ranges));
  SizeExpr height = padded;
  for (int64_t k = 1; k <= 8; ++k) {
    height = SizeExpr::max(height, s * (100 * k) + 7) + t * k;
    EXPECT_TRUE(end.isLessEqual(height, ranges)) << k;
    EXPECT_FALSE(height.isLessEqual(end, ranges)) << k;
  }
}

TEST(SizeExpr, NothingIsBeyondTheEnds) {
  SizeExpr s = SizeExpr::symbol("s");
  EXPECT_EQ(SizeExpr::min(s, std::numeric_limits<int64_t>::max()), s);
  EXPECT_EQ(SizeExpr::max(std::numeric_limits<int64_t>::min(), s), s);
}

// A minimum inside of a quotient is the same as that outside.
TEST(SizeExpr, ExtremaThatOccurTwice) {
  SizeExpr s = SizeExpr::symbol("s"), t = SizeExpr::symbol("t");
  SymbolRanges ranges;
  ranges["s"] = {4, 150};
  ranges["t"] = {3, 150};
  SizeExpr n = SizeExpr::min(t, s - 2);
  EXPECT_TRUE((n * 4 + 8).isLessEqual((n + 1).floorDiv(16) * 64 + 64, ranges));
  EXPECT_FALSE((n * 4 + 9).isLessEqual((n + 1).floorDiv(16) * 64 + 64, ranges));
  EXPECT_TRUE(n.isLessEqual(SizeExpr::max(n, 7), ranges));
}

// Shares of a number of tiles: what one begins with is no more than where it
// ends, though the one quotient may round down by more than the other.
TEST(SizeExpr, OrderedQuotients) {
  SizeExpr s = SizeExpr::symbol("s");
  SymbolRanges ranges;
  ranges["s"] = {1, 1 << 20};
  SizeExpr tiles = (s + 3).floorDiv(4);
  EXPECT_TRUE(tiles.floorDiv(2).isLessEqual(tiles, ranges));
  EXPECT_FALSE(tiles.isLessEqual(tiles.floorDiv(2), ranges));
  for (int64_t w = 0; w < 7; ++w) {
    EXPECT_TRUE((tiles * (w + 1)).floorDiv(7).isLessEqual(tiles, ranges)) << w;
    SizeExpr from = (s * w).floorDiv(7), to = (s * (w + 1)).floorDiv(7);
    EXPECT_TRUE(from.isLessEqual(to, ranges)) << w;
    EXPECT_TRUE(to.isLessEqual(s, ranges)) << w;
    EXPECT_FALSE(to.isLessEqual(from, ranges)) << w;
    EXPECT_TRUE((from * 16 + 3).isLessEqual(to * 16 + 5, ranges)) << w;
  }
  // Of numbers that may be negative, the larger divisor gives the larger one.
  ranges["s"] = {-8, 8};
  EXPECT_FALSE(s.floorDiv(8).isLessEqual(s.floorDiv(4), ranges));
}

// A quotient of a quotient is canonically one of the whole: (s floordiv 2)
// floordiv 24 is s floordiv 48. Tiles of it cover what the inner one counts.
TEST(SizeExpr, QuotientsOfOneNumerator) {
  SymbolRanges ranges;
  ranges["s"] = {0, std::numeric_limits<int64_t>::max()};
  auto lessEqual = [&](const char *a, const char *b) {
    return SizeExpr::parse(a)->isLessEqual(*SizeExpr::parse(b), ranges);
  };
  EXPECT_TRUE(lessEqual("2 * (s floordiv 2) + 2", "48 * (s floordiv 48) + 48"));
  EXPECT_FALSE(lessEqual("2 * (s floordiv 2) + 3", "48 * (s floordiv 48) + 48"));
  EXPECT_TRUE(lessEqual("(s floordiv 2) + 1", "6 * (s floordiv 12) + 6"));
  EXPECT_FALSE(lessEqual("(s floordiv 2) + 2", "6 * (s floordiv 12) + 6"));
  EXPECT_TRUE(lessEqual("12 * (s floordiv 12)", "2 * (s floordiv 2)"));
}

// What has nothing to do with the negative part is not estimated for it.
TEST(SizeExpr, UnrelatedQuotientsAreLeftAlone) {
  SymbolRanges ranges;
  ranges["s"] = ranges["t"] = {0, std::numeric_limits<int64_t>::max()};
  SizeExpr arena = *SizeExpr::parse(
      "64 * ((s * t + 15) floordiv 16) + 64 * ((t * ((s + 1) floordiv 3) + 15) "
      "floordiv 16) + 64 * ((((s + 1) floordiv 3) + 15) floordiv 16)");
  EXPECT_TRUE((SizeExpr::symbol("s") * SizeExpr::symbol("t") * 4)
                  .isLessEqual(arena, ranges));
}
