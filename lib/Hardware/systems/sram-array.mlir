// sram-array: a chip without DRAM, for plans on paper.
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// 64 cores with a scratchpad each, a shared pool of SRAM, and one copy engine
// per core. There is no level called main: what does not fit does not run. No
// such product is meant; every figure is assumed.
hw.system @sram_array (summary = "64 cores, all SRAM, no DRAM (on paper)") {
  hw.device @chip (codegen = aarch64, cpu = "generic",
      features = ["neon", "fp-armv8"], watts = 60 W assumed) {
    hw.memory @pool (kind = scratchpad, bytes = 192 MiB assumed,
        read = 6.4 TB/s assumed, worker_read = 100 GB/s assumed,
        latency = 40 ns assumed, line = 64, energy = 5 pJ/B assumed)
    hw.worker @core x 64 (clock = 2 GHz assumed, registers = 32 x 128 bit) {
      hw.memory @sram (kind = scratchpad, bytes = 1 MiB assumed,
          read = 128 GB/s assumed, latency = 2 ns assumed, line = 64,
          energy = 1 pJ/B assumed)
      hw.mover @dma (from = @pool, to = @sram, bandwidth = 100 GB/s assumed,
          latency = 60 ns assumed, outstanding = 8)
      hw.atom @fma 1 x 4 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 4 assumed, latency = 4 cycles assumed, from = @sram,
          energy = 2 pJ assumed, needs = ["neon"])
    }
    hw.sync (cost = 40 ns assumed, counter_stride = 64)
    hw.codegen (denormal = 0 cycles assumed, line_crossing = 0.5 assumed)
  }
}
