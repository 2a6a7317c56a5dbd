//===- GuardsTest.cpp - Conditions on sizes -------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "../../lib/Import/Guards.h"
#include "headrace/Support/SizeCondition.h"
#include "gtest/gtest.h"

using namespace headrace;

/// Reads a guard on `x`, whose dimensions are s0, s1, ..., row-major.
static llvm::Expected<Guard> parse(llvm::StringRef text) {
  return parseGuard(
      text, [](const GuardSource &source) -> llvm::Expected<GuardTerm> {
        if (source.path != "L['x']")
          return llvm::createStringError("'" + source.path.str() +
                                         "' is not an input");
        std::string number = std::to_string(source.dimension);
        switch (source.kind) {
        case GuardSource::Kind::Size:
          return GuardTerm{SizeExpr::symbol("s" + number),
                           "x.shape[" + number + "]"};
        case GuardSource::Kind::Stride:
          return GuardTerm{SizeExpr(4), "x.stride()[" + number + "]"};
        case GuardSource::Kind::StorageOffset:
          break;
        }
        return GuardTerm{SizeExpr(0), "x.storage_offset()"};
      });
}

static std::string text(llvm::StringRef guard) {
  llvm::Expected<Guard> parsed = parse(guard);
  if (!parsed)
    return "error: " + llvm::toString(parsed.takeError());
  return parsed->text;
}

/// The values of s0 from 0 to 12 for which the guard holds; s1 is 3.
static std::vector<int64_t> values(llvm::StringRef guard) {
  llvm::Expected<Guard> parsed = parse(guard);
  EXPECT_TRUE(bool(parsed)) << guard.str();
  std::vector<int64_t> result;
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return result;
  }
  SymbolBindings bindings;
  bindings["s1"] = 3;
  for (int64_t value = 0; value <= 12; ++value) {
    bindings["s0"] = value;
    if (condition::holdsAt(parsed->condition, bindings))
      result.push_back(value);
  }
  return result;
}

using Values = std::vector<int64_t>;

TEST(Guards, Comparisons) {
  EXPECT_EQ(values("L['x'].size()[0] >= 11"), (Values{11, 12}));
  EXPECT_EQ(values("2 > L['x'].size()[0]"), (Values{0, 1}));
  EXPECT_EQ(values("(L['x'].size()[0] % 4) == 0"), (Values{0, 4, 8, 12}));
  EXPECT_EQ(values("L['x'].size()[0] // 4 != 1"),
            (Values{0, 1, 2, 3, 8, 9, 10, 11, 12}));
  EXPECT_EQ(values("3 <= L['x'].size()[0] < 5"), (Values{3, 4}));
  EXPECT_EQ(values("L['x'].size()[0] == 2*L['x'].size()[1] + (-1)"),
            (Values{5}));
  EXPECT_EQ(values("L['x'].size()[0]**2 < 10"), (Values{0, 1, 2, 3}));
}

TEST(Guards, Fractions) {
  EXPECT_EQ(values("math.trunc(0.5*torch.sym_float(L['x'].size()[0])) == 2"),
            (Values{4, 5}));
  EXPECT_EQ(values("math.trunc((L['x'].size()[0] + (-5)) / 2) == -1"),
            (Values{2, 3}));
  EXPECT_EQ(values("L['x'].size()[0] / 3 > 3"), (Values{10, 11, 12}));
  // Whether 0.7 * 10 is 7 depends on how it rounds.
  for (llvm::StringRef guard :
       {"0.7*L['x'].size()[0] >= 7", "abs(0.7*L['x'].size()[0]) >= 7",
        "math.floor(0.7*L['x'].size()[0]) == 7",
        "(0.1*(10*L['x'].size()[0])) % 2 == 0",
        "max(0.7*L['x'].size()[0], 1) >= 7", "-(0.7*L['x'].size()[0]) < 7"})
    EXPECT_NE(text(guard).find("short in binary"), std::string::npos)
        << guard.str();
}

TEST(Guards, Logic) {
  EXPECT_EQ(values("L['x'].size()[0] > 11 or L['x'].size()[0] == 2"),
            (Values{2, 12}));
  EXPECT_EQ(values("L['x'].size()[0] > 3 and not L['x'].size()[0] > 5"),
            (Values{4, 5}));
  EXPECT_EQ(values("True and (False or L['x'].size()[0] < 1)"), (Values{0}));
}

TEST(Guards, Rationals) {
  EXPECT_EQ(values("L['x'].size()[0] / 2 < 2.5"), (Values{0, 1, 2, 3, 4}));
  EXPECT_EQ(values("math.ceil(L['x'].size()[0] / 5) == 2"),
            (Values{6, 7, 8, 9, 10}));
  EXPECT_EQ(values("max(1, L['x'].size()[0] / 4) == 1.5"), (Values{6}));
}

TEST(Guards, DivisionByZeroDoesNotHold) {
  EXPECT_EQ(values("(L['x'].size()[0] % (L['x'].size()[0] // 4)) == 0"),
            (Values{4, 5, 6, 7, 8, 10, 12}));
}

TEST(Guards, Words) {
  EXPECT_EQ(text("(L['x'].size()[0] % 4) == L['x'].stride()[1]"),
            "(x.shape[0] % 4) == x.stride()[1]");
  EXPECT_EQ(text("L['y'][0].size()[1] > 3"),
            "error: 'L['y'][0]' is not an input");
  EXPECT_EQ(text("L['x'].size()[0]"), "error: it is not a condition");
  EXPECT_EQ(text("sin(L['x'].size()[0]) > 0"),
            "error: 'sin' is not understood");
  EXPECT_EQ(text("L['x'].size()[0] > 1e9"),
            "error: '1e9' is a number with an exponent");
  EXPECT_EQ(text("L['x'].size()[0] > 1 +"), "error: it ends early");
  EXPECT_EQ(text("L['x'].size()[0] // 0 > 1"), "error: it divides by zero");
  EXPECT_EQ(text("(L['x'].size()[0] > 1"),
            "error: a parenthesis is not closed");
  EXPECT_EQ(text(std::string(200, '(')), "error: it nests too deeply");
}

//===----------------------------------------------------------------------===//
// Residues
//===----------------------------------------------------------------------===//

/// What the guards leave of s0 and s1, both at least `least`.
static std::string residues(std::vector<llvm::StringRef> guards,
                            int64_t least = 1) {
  std::vector<SizeExpr> conditions;
  for (llvm::StringRef guard : guards)
    conditions.push_back(llvm::cantFail(parse(guard)).condition);
  SymbolRanges ranges;
  ranges["s0"] = ranges["s1"] = {least, std::numeric_limits<int64_t>::max()};
  std::string result;
  for (const Congruence &found : findCongruences(conditions, ranges))
    result += found.symbol + " = " + std::to_string(found.factor) + "n + " +
              std::to_string(found.rest) + "; ";
  return result;
}

TEST(Congruences, OneSymbol) {
  EXPECT_EQ(residues({"(L['x'].size()[0] % 4) == 0"}), "s0 = 4n + 0; ");
  EXPECT_EQ(residues({"(L['x'].size()[0] % 4) == 3"}), "s0 = 4n + 3; ");
  EXPECT_EQ(residues({"(L['x'].size()[0] % 4) != 3"}), "");
  // Both 0 and 2 are left: all that is known is that it is even.
  EXPECT_EQ(residues({"(L['x'].size()[0] % 4) != 3",
                      "(L['x'].size()[0] % 4) != 1"}),
            "s0 = 2n + 0; ");
  EXPECT_EQ(residues({"(1 + L['x'].size()[0]) // 2 == L['x'].size()[0] // 2"}),
            "s0 = 2n + 0; ");
  EXPECT_EQ(residues({"(L['x'].size()[0] % 4) == 0",
                      "(L['x'].size()[0] % 6) == 0"}),
            "s0 = 12n + 0; ");
}

TEST(Congruences, TwoSymbols) {
  llvm::StringRef elements =
      "L['x'].size()[0]*L['x'].size()[1] == "
      "4*(L['x'].size()[0] // 2)*(L['x'].size()[1] // 2)";
  EXPECT_EQ(residues({elements}), "s0 = 2n + 0; s1 = 2n + 0; ");
  // Where there may be no elements, nothing follows.
  EXPECT_EQ(residues({elements}, 0), "");
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

TEST(SizeCondition, Satisfy) {
  SizeExpr s = SizeExpr::symbol("s"), t = SizeExpr::symbol("t");
  SymbolRanges ranges;
  ranges["s"] = {0, 100};
  ranges["t"] = {5, 100};
  SymbolBindings wanted;
  wanted["s"] = 50;
  wanted["t"] = 50;
  auto check = [&](std::vector<SizeExpr> conditions) {
    std::optional<SymbolBindings> found =
        condition::satisfy(conditions, ranges, wanted);
    if (!found)
      return false;
    for (const SizeExpr &condition : conditions)
      EXPECT_TRUE(condition::holdsAt(condition, *found));
    EXPECT_GE(found->lookup("t"), 5);
    EXPECT_LE(found->lookup("s"), 100);
    return true;
  };
  EXPECT_TRUE(check({}));
  EXPECT_TRUE(check({condition::unequal(s, t)}));
  EXPECT_TRUE(check({condition::equal(s.mod(7), SizeExpr(3)),
                     condition::less(t, s)}));
  EXPECT_FALSE(check({condition::less(s, SizeExpr(0))}));
}

TEST(SizeCondition, Proofs) {
  SizeExpr s = SizeExpr::symbol("s");
  SymbolRanges ranges;
  ranges["s"] = {4, 10};
  EXPECT_TRUE(condition::holds(condition::atMost(4, s), ranges));
  EXPECT_TRUE(condition::holds(
      condition::either(condition::less(s, 5), condition::less(3, s)),
      ranges));
  EXPECT_TRUE(condition::fails(condition::equal(s, 3), ranges));
  EXPECT_TRUE(condition::holds(condition::unequal(s, 3), ranges));
  EXPECT_FALSE(condition::holds(condition::unequal(s, 5), ranges));
  EXPECT_FALSE(condition::fails(condition::unequal(s, 5), ranges));
}
