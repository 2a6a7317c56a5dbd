//===- ImportTest.cpp - Tests of schemas and symbolic expressions ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "../../lib/Import/SymPy.h"
#include "headrace/Dialect/Aten/Aten.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace headrace;
using Base = aten::SchemaType::Base;

static const char *const kNames[] = {
#define SCHEMA(NAME, SIGNATURE) NAME,
#include "../../lib/Dialect/Aten/Schemas.inc"
#undef SCHEMA
};

TEST(Schema, TheWholeTableIsSortedAndParses) {
  EXPECT_GT(std::size(kNames), 3000u);
  for (size_t i = 1; i < std::size(kNames); ++i)
    EXPECT_LT(llvm::StringRef(kNames[i - 1]), llvm::StringRef(kNames[i]));
  MLIRContext context;
  context.loadDialect<aten::AtenDialect>();
  for (const char *name : kNames) {
    const aten::Schema *schema = aten::lookupSchema(name);
    ASSERT_TRUE(schema) << name;
    EXPECT_EQ(schema->name, name);
    for (const aten::SchemaArg &arg : schema->args)
      if (arg.defaultText) {
        EXPECT_TRUE(aten::getDefaultValue(&context, arg))
            << name << " " << arg.name.str() << "=" << arg.defaultText->str();
      }
  }
  EXPECT_FALSE(aten::lookupSchema("aten.add"));
  EXPECT_FALSE(aten::lookupSchema("zzz"));
  EXPECT_FALSE(aten::lookupSchema(""));
}

TEST(Schema, TypesAndAliases) {
  const aten::Schema *add = aten::lookupSchema("aten.add_.Tensor");
  ASSERT_TRUE(add);
  EXPECT_TRUE(add->isMutating());
  EXPECT_TRUE(add->args[0].type.isWritten);
  EXPECT_EQ(add->args[0].type.alias, "a");
  EXPECT_EQ(add->results[0].alias, "a");
  EXPECT_TRUE(add->args[2].isKeywordOnly);
  EXPECT_EQ(add->getBaseName(), "aten.add_");
  EXPECT_EQ(add->getOverload(), "Tensor");

  const aten::Schema *split = aten::lookupSchema("aten.split.Tensor");
  ASSERT_TRUE(split);
  EXPECT_FALSE(split->isMutating());
  EXPECT_TRUE(split->results[0].isTensorList());

  const aten::Schema *conv = aten::lookupSchema("aten.conv2d.default");
  ASSERT_TRUE(conv);
  const aten::SchemaType &stride = conv->args[*conv->findArg("stride")].type;
  EXPECT_EQ(stride.base, Base::SymInt);
  EXPECT_EQ(stride.listSize, 2u);
  EXPECT_EQ(stride.str(), "SymInt[2]");

  const aten::Schema *index = aten::lookupSchema("aten.index.Tensor");
  ASSERT_TRUE(index);
  EXPECT_EQ(index->args[1].type.str(), "Tensor?[]");
  EXPECT_TRUE(index->args[1].type.hasOptionalElements);
  EXPECT_FALSE(index->args[1].type.isOptional);
}

static std::string integer(llvm::StringRef text) {
  llvm::Expected<SizeExpr> expr = parseSymPyInteger(text);
  if (expr)
    return expr->str();
  return "error: " + llvm::toString(expr.takeError());
}

TEST(SymPy, Integers) {
  EXPECT_EQ(integer("Symbol('s77', positive=True, integer=True)"), "s77");
  EXPECT_EQ(integer("Add(Mul(Integer(2), Symbol('s0')), Integer(-1))"),
            "2 * s0 - 1");
  EXPECT_EQ(integer("FloorDiv(Symbol('s0'), Integer(2))"), "s0 floordiv 2");
  EXPECT_EQ(integer("CeilDiv(Symbol('s0'), Integer(2))"),
            "(s0 + 1) floordiv 2");
  EXPECT_EQ(integer("PythonMod(Integer(-7), Integer(4))"), "1");
  EXPECT_EQ(integer("Max(Integer(1), Symbol('s0'))"), "max(s0, 1)");
  EXPECT_EQ(integer("Pow(Symbol('s0'), Integer(2))"), "s0 * s0");
}

TEST(SymPy, Refusals) {
  EXPECT_EQ(integer("Sin(Integer(1))"),
            "error: symbolic size: 'Sin' is not supported");
  EXPECT_EQ(integer("Symbol('a b')"),
            "error: symbolic size: a symbol's name is not an identifier");
  EXPECT_EQ(integer("Symbol('max')"),
            "error: symbolic size: a symbol may not be named 'max'");
  EXPECT_EQ(integer("Integer(99999999999999999999)"),
            "error: symbolic size: expected an integer of 64 bits");
  EXPECT_EQ(integer("Integer(1) Integer(2)"),
            "error: symbolic size: unexpected text after the end");
  EXPECT_EQ(integer("Mod(Integer(1), Integer(0))"),
            "error: symbolic size: division by zero");
  EXPECT_EQ(integer("Integer(1"), "error: symbolic size: expected ',' or ')'");
  EXPECT_EQ(integer("Symbol('s0"),
            "error: symbolic size: expected a closing quote");
}

TEST(SymPy, Conditions) {
  auto condition = [](llvm::StringRef text) -> std::string {
    llvm::Expected<SymbolicValue> value = parseSymPy(text);
    if (!value)
      return "error: " + llvm::toString(value.takeError());
    if (!value->condition)
      return "unknown";
    return value->condition->str() + " for " + value->text;
  };
  EXPECT_EQ(condition("GreaterThan(Symbol('a'), Integer(2))"),
            "a - 2 for a >= 2");
  EXPECT_EQ(condition("StrictLessThan(Symbol('a'), Integer(2))"),
            "-a + 1 for a < 2");
  EXPECT_EQ(condition("Equality(Symbol('a'), Symbol('b'))"),
            "min(-a + b, a - b) for a == b");
  EXPECT_EQ(condition("And(LessThan(Symbol('a'), Integer(3)), true)"),
            "min(0, -a + 3) for (a <= 3) and (True)");
  EXPECT_EQ(condition("Unequality(Symbol('a'), Integer(3))"),
            "max(-a + 2, a - 4) for a != 3");
  EXPECT_EQ(condition("Or(true, false)"), "0 for (True) or (False)");
  EXPECT_EQ(condition("Not(LessThan(Symbol('a'), Integer(3)))"),
            "a - 4 for not (a <= 3)");
}
