//===- CostTest.cpp - What steps of a program take ------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Cost/Contraction.h"
#include "headrace/Cost/SoftmaxSum.h"
#include "gtest/gtest.h"

using namespace headrace;
using namespace headrace::cost;

namespace {
/// Two workers with vectors of eight: a private cache, and a memory for both.
hw::System makeSystem(const std::string &costs = "") {
  std::string error;
  auto system = hw::System::parse(R"(
hw.system @two {
  hw.device @cpu (codegen = x86_64, features = ["avx2", "fma"]) {
    hw.memory @dram (kind = main, bytes = 1 GiB assumed, read = 8 GB/s assumed,
                     worker_read = 6 GB/s assumed)
    hw.worker @core x 2 (clock = 1 GHz assumed, registers = 16 x 256 bit) {
      hw.memory @l1 (bytes = 64 KiB assumed, read = 64 GB/s assumed, ways = 8)
      )" + costs + R"(
      hw.atom @fma 1 x 8 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 2 assumed, latency = 4 cycles assumed)
    }
    hw.sync (cost = 1 us assumed)
  }
})",
                                  "test.mlir", error);
  EXPECT_TRUE(succeeded(system)) << error;
  return succeeded(system) ? *system : hw::System();
}

/// c[m, n] += a[m, k] * b[k, n], where b has n contiguous.
Contraction makeProduct(const Machine &machine, int64_t m, int64_t n,
                        int64_t k) {
  Contraction result;
  result.loops.resize(3);
  result.loops[0].extent = m;
  result.loops[1].extent = n;
  result.loops[2].extent = k;
  result.loops[2].parallel = false;
  result.loops[0].stride[0] = 2;
  result.loops[1].stride[1] = result.loops[1].store = 1;
  result.loops[2].stride[0] = 1;
  result.loops[2].stride[1] = 2;
  result.multiplyAdd = machine.getWorker().getAtom("f32", "f32", "f32");
  return result;
}

double secondsOf(const Machine &machine, const Contraction &product,
                 int64_t rows, int64_t vectors) {
  RegisterTile tile;
  tile.vector = 1;
  tile.vectors = vectors;
  tile.row = 0;
  tile.rows = rows;
  llvm::SmallVector<double> length;
  for (const Contraction::Loop &loop : product.loops)
    length.push_back(double(loop.extent));
  return predict(machine, product, tile, length);
}
} // namespace

TEST(Cost, StageIsTheWorseOfComputingAndMoving) {
  hw::System system = makeSystem("hw.costs (unhidden_memory = 0.5 assumed, "
                                 "tile = 1 us assumed)");
  Machine machine(system.getDevice(), /*scalar=*/false);
  // Two tiles of 10 us beside 8 us; two tiles begin, workers meet once.
  EXPECT_DOUBLE_EQ(machine.getStageSeconds(2, 10e-6, 8e-6),
                   20e-6 + 4e-6 + 2e-6 + 1e-6);
  EXPECT_DOUBLE_EQ(machine.getStageSeconds(2, 1e-6, 8e-6),
                   8e-6 + 1e-6 + 2e-6 + 1e-6);
}

TEST(Cost, HomeIsTheInnermostMemoryThatHolds) {
  hw::System system = makeSystem();
  Machine machine(system.getDevice(), false);
  EXPECT_EQ(machine.getHome(64 << 10, 2)->name, "l1");
  EXPECT_EQ(machine.getHome((64 << 10) + 1, 2)->name, "dram");
  EXPECT_EQ(machine.getHome(1e12, 2)->name, "dram");
  EXPECT_DOUBLE_EQ(machine.getTransferSeconds(machine.getHome(1e6, 2), 4e6, 0, 2),
                   1e-3);
}

TEST(Cost, RegisterTilesReachThePeakAndNoMore) {
  hw::System system = makeSystem();
  Machine machine(system.getDevice(), false);
  Contraction product = makeProduct(machine, 96, 96, 64);
  double flops = 2.0 * 96 * 96 * 64;
  double peak = flops / machine.getWorker().f32FlopsPerSecond();
  double six = secondsOf(machine, product, 6, 2);
  EXPECT_GT(six, peak);
  EXPECT_LT(six, 1.6 * peak);
  // One sum at a time waits for itself.
  EXPECT_GT(secondsOf(machine, product, 1, 1), 4 * peak);
}

TEST(Cost, FiguresOfTheDescriptionCount) {
  hw::System slow = makeSystem("hw.costs (gather = 10 cycles assumed)");
  hw::System fast = makeSystem("hw.costs (gather = 1 cycles assumed)");
  for (bool apart : {false, true}) {
    auto seconds = [&](const hw::System &system) {
      Machine machine(system.getDevice(), false);
      Contraction product = makeProduct(machine, 96, 96, 64);
      if (apart)
        product.loops[1].stride[1] = 2;
      return secondsOf(machine, product, 6, 2);
    };
    if (apart)
      EXPECT_GT(seconds(slow), 2 * seconds(fast));
    else
      EXPECT_DOUBLE_EQ(seconds(slow), seconds(fast));
  }
}

TEST(Cost, SoftmaxSumsGrowWithTheirProducts) {
  hw::System system = makeSystem();
  Machine machine(system.getDevice(), false);
  SoftmaxSum sum;
  sum.rows = 64;
  sum.columns = 64;
  sum.streamed = 512;
  double once = predict(machine, sum);
  sum.rows = 128;
  EXPECT_NEAR(predict(machine, sum), 2 * once, 0.2 * once);
  sum.gathersLogits = true;
  EXPECT_GT(predict(machine, sum), 2.2 * once);
}
