//===- RegistryTest.cpp - The table of ATen operators ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Conversion/Passes.h"
#include "headrace/Dialect/Aten/ResultTypes.h"
#include "headrace/Dialect/Aten/Schema.h"
#include "gtest/gtest.h"

using namespace headrace;

// A misspelt name would never be found, and nobody would notice.
TEST(Registry, NamesAreOperatorsOfTorch) {
  for (llvm::StringRef name : getSupportedOperators())
    EXPECT_TRUE(aten::lookupSchema(name)) << name.str();
}

// An entry cannot give results in place: functionalization came before.
TEST(Registry, NothingWrites) {
  for (llvm::StringRef name : getSupportedOperators())
    if (const aten::Schema *schema = aten::lookupSchema(name))
      EXPECT_FALSE(schema->isMutating()) << name.str();
}

// What an entry builds follows the declared types, so that they have to be
// compared with the arguments before.
TEST(Registry, EveryOperatorHasAResultRule) {
  for (llvm::StringRef name : getSupportedOperators())
    EXPECT_TRUE(aten::hasResultRule(name)) << name.str();
}

TEST(Registry, Queries) {
  EXPECT_TRUE(isSupportedOperator("aten.add.Tensor"));
  EXPECT_FALSE(isSupportedOperator("aten.add_.Tensor"));
  EXPECT_FALSE(isSupportedOperator("aten.nonzero.default"));
  EXPECT_TRUE(llvm::is_sorted(getSupportedOperators()));
}
