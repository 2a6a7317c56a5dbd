//===- TargetTest.cpp - Tests of lib/Target -------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where weights are placed, how sizes of a call are found from its inputs, and
// that the checksum is the published one.
//
//===----------------------------------------------------------------------===//
#include "../../lib/Target/Image.h"
#include "../../lib/Target/WeightLayout.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Runtime/Hash.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"
#include <random>

using namespace mlir;
using namespace headrace;

namespace {

class WeightLayoutTest : public testing::Test {
protected:
  void add(StringRef name, ArrayRef<char> bytes) {
    auto type = RankedTensorType::get({static_cast<int64_t>(bytes.size())},
                                      IntegerType::get(&context, 8));
    store.addOwned(name, type, std::vector<char>(bytes.begin(), bytes.end()));
  }
  std::string write(const WeightLayout &layout) {
    std::string text, error;
    llvm::raw_string_ostream os(text);
    EXPECT_TRUE(succeeded(layout.write(os, error))) << error;
    return text;
  }
  MLIRContext context;
  WeightStore store;
  std::string error;
};

TEST_F(WeightLayoutTest, EqualBytesAreStoredOnce) {
  add("a", {1, 2, 3});
  add("b", {1, 2, 3});
  add("c", {1, 2, 4});
  WeightLayout layout(store);
  for (const char *name : {"a", "b", "c"})
    ASSERT_TRUE(succeeded(layout.place({name}, error)));
  EXPECT_EQ(layout.getOffset("a"), layout.getOffset("b"));
  EXPECT_NE(layout.getOffset("a"), layout.getOffset("c"));
  EXPECT_EQ(layout.getBytes(), 64 + 3);
  std::string bytes = write(layout);
  EXPECT_EQ(bytes.substr(0, 3), "\1\2\3");
  EXPECT_EQ(bytes.substr(64), "\1\2\4");
}

TEST_F(WeightLayoutTest, StacksHaveOneStride) {
  for (const char *name : {"l0", "l1", "l2"})
    add(name, std::vector<char>(100, 7));
  add("other", std::vector<char>(100, 7));
  WeightLayout layout(store);
  SmallVector<std::string> stack = {"l0", "l1", "l2"};
  ASSERT_TRUE(succeeded(layout.place(stack, error)));
  EXPECT_EQ(layout.getStride(stack), 128);
  // A single weight of the same bytes takes no room of its own.
  ASSERT_TRUE(succeeded(layout.place({"other"}, error)));
  EXPECT_EQ(layout.getOffset("other"), layout.getOffset("l0"));
  EXPECT_EQ(layout.getBytes(), 2 * 128 + 100);
  // The same stack again stays where it is; in another order it has a stride
  // too, but not every selection has.
  ASSERT_TRUE(succeeded(layout.place(stack, error)));
  EXPECT_EQ(layout.getBytes(), 2 * 128 + 100);
  EXPECT_EQ(layout.getStride({"l2", "l1", "l0"}), -128);
  EXPECT_EQ(layout.getStride({"l0", "l2", "l1"}), std::nullopt);
}

TEST_F(WeightLayoutTest, MissingWeightsAreNamed) {
  WeightLayout layout(store);
  EXPECT_TRUE(failed(layout.place({"nowhere"}, error)));
  EXPECT_EQ(error, "no bytes for weight 'nowhere'");
}

TEST_F(WeightLayoutTest, HashTellsContentsAndPlaces) {
  add("a", {1});
  add("b", {2});
  WeightLayout one(store), two(store);
  ASSERT_TRUE(succeeded(one.place({"a"}, error)));
  ASSERT_TRUE(succeeded(one.place({"b"}, error)));
  ASSERT_TRUE(succeeded(two.place({"b"}, error)));
  ASSERT_TRUE(succeeded(two.place({"a"}, error)));
  EXPECT_NE(one.getHash(), two.getHash());
}

class EntryTest : public testing::Test {
protected:
  FailureOr<ImageEntry> read(StringRef text) {
    context.loadDialect<hr::HRDialect, func::FuncDialect>();
    module = parseSourceString<ModuleOp>(text, &context);
    if (!module)
      return failure();
    return readEntry(*module->getOps<func::FuncOp>().begin());
  }
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

TEST_F(EntryTest, PlainSymbolsArePreferred) {
  FailureOr<ImageEntry> entry = read(R"(
    func.func private @main(
        tensor<?xf32> {hr.name = "a", hr.dims = [#hr.size<"2 * s0 + 1">]},
        tensor<?x?xf32> {hr.name = "b", hr.dims = [#hr.size<"s0 * s1">, #hr.size<"s0">]},
        tensor<?xi8> {hr.name = "c", hr.dims = [#hr.size<"3 * s1">], hr.unsigned})
      attributes {hr.entry, hr.symbols = [#hr.symbol<"s0", 1, 8>, #hr.symbol<"s1", 2, 5>]}
  )");
  ASSERT_TRUE(succeeded(entry));
  const ImageSymbol &s0 = entry->symbols[0], &s1 = entry->symbols[1];
  EXPECT_EQ(s0.input, 1);
  EXPECT_EQ(s0.dim, 1);
  EXPECT_EQ(s0.scale, 1);
  EXPECT_EQ(s0.offset, 0);
  EXPECT_EQ(s1.input, 2);
  EXPECT_EQ(s1.scale, 3);
  EXPECT_TRUE(entry->inputs[2].isUnsigned);
}

TEST_F(EntryTest, LinearSizesAreSolved) {
  FailureOr<ImageEntry> entry = read(R"(
    func.func private @main(
        tensor<?xf32> {hr.name = "a", hr.dims = [#hr.size<"2 * s0 + 1">]})
      attributes {hr.entry, hr.symbols = [#hr.symbol<"s0", 1, 8>]}
  )");
  ASSERT_TRUE(succeeded(entry));
  EXPECT_EQ(entry->symbols[0].scale, 2);
  EXPECT_EQ(entry->symbols[0].offset, 1);
}

TEST_F(EntryTest, SizesThatNoInputTellsAreRefused) {
  std::string message;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    message = diagnostic.str();
    return success();
  });
  EXPECT_TRUE(failed(read(R"(
    func.func private @main(
        tensor<?xf32> {hr.name = "a", hr.dims = [#hr.size<"s0 * s1">]})
      attributes {hr.entry, hr.symbols = [#hr.symbol<"s0", 1, 8>, #hr.symbol<"s1", 1, 8>]}
  )")));
  EXPECT_EQ(message, "no input of entry 'main' tells the size 's0'");
}

TEST(HashTest, IsXXH64) {
  EXPECT_EQ(hr_hash("", 0), 0xef46db3751d8e999u);
  EXPECT_EQ(hr_hash("abc", 3), 0x44bc2cf5ad770999u);
  // Each bit counts, wherever it is.
  std::string text(100, 'x');
  uint64_t plain = hr_hash(text.data(), text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    text[i] ^= 1;
    EXPECT_NE(hr_hash(text.data(), text.size()), plain);
    text[i] ^= 1;
  }
}

} // namespace
