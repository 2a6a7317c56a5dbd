// amd-zen3: one core complex of an EPYC or Ryzen of the third generation.
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Documented: AMD's software optimization guide for family 19h (publication
// 56665): two FMA pipes of 256 bits with a latency of 4; six operations
// dispatched per cycle; two loads of 256 bits or three of 64 per cycle and one
// store of 256; caches, their latencies of 12 and 46 cycles, 32 bytes per cycle
// between the first two. What memory and the third level reach, and the clock
// of a busy core, differ from part to part: assumed.
hw.system @amd_zen3 (summary = "AMD Zen 3 core complex") {
  hw.device @ccd (codegen = x86_64, cpu = "znver3",
      features = ["sse4.2", "popcnt", "cx16", "avx", "avx2", "bmi", "bmi2",
                  "f16c", "fma", "lzcnt", "movbe", "xsave", "sse4a", "sha",
                  "vaes", "vpclmulqdq"],
      price = 0.3 USD/h assumed, watts = 35 W assumed) {
    hw.memory @dram (kind = main, bytes = 32 GiB assumed,
        read = 40 GB/s assumed, write = 20 GB/s assumed,
        nt_write = 22 GB/s assumed, worker_read = 25 GB/s assumed,
        worker_write = 13 GB/s assumed, worker_nt_write = 20 GB/s assumed,
        latency = 105 ns assumed, line = 64, energy = 120 pJ/B assumed)
    hw.memory @l3 (bytes = 32 MiB documented, read = 600 GB/s assumed,
        write = 300 GB/s assumed, worker_read = 75 GB/s assumed,
        worker_write = 45 GB/s assumed, latency = 13 ns documented, line = 64,
        energy = 9 pJ/B assumed)
    hw.worker @core x 8 (clock = 3.5 GHz assumed, registers = 16 x 256 bit,
        loads = 2 documented, issue = 4 assumed) {
      hw.memory @l2 (bytes = 512 KiB documented, read = 112 GB/s documented,
          write = 90 GB/s assumed, latency = 3.4 ns documented, line = 64,
          energy = 3 pJ/B assumed)
      hw.memory @l1 (bytes = 32 KiB documented, read = 224 GB/s documented,
          write = 112 GB/s documented, latency = 2 ns documented,
          line = 64, ways = 8, energy = 1 pJ/B assumed)
      hw.costs (convert = 1 cycles assumed, shuffle = 1 cycles assumed,
          transpose = 2 cycles assumed, fold = 12 cycles assumed,
          gather = 1.5 cycles assumed, scatter = 2.5 cycles assumed,
          translations = 64 assumed, page_miss = 2 cycles assumed,
          evicted = 4 cycles assumed, held = 0.75 assumed,
          unhidden = 0.1 assumed, unhidden_memory = 0.2 assumed,
          tile = 50 ns assumed)
      hw.atom @fma 1 x 8 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 2 documented, latency = 4 cycles documented, from = @l1,
          energy = 6 pJ assumed, needs = ["fma"])
      hw.atom @fma_f64 1 x 4 x 1 f64, f64 -> f64 (instruction = "vector.fma",
          per_cycle = 2 documented, latency = 4 cycles documented, from = @l1,
          energy = 12 pJ assumed, needs = ["fma"])
    }
    hw.sync (cost = 120 ns assumed, wake = 10 us assumed, counter_stride = 64)
    hw.codegen (nt_store_fence = "sfence", prefetch_distance = 512 B assumed,
        nt_store_from = 16 MiB assumed, denormal = 10 cycles assumed,
        line_crossing = 0.5 assumed, page = 4096)
  }
}
