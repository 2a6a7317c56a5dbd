// generic-x86-64-v3: any x86-64 CPU with AVX2 and FMA (Haswell and later).
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For binaries that must run on many machines: figures are of a middling core
// and all assumed; what may be relied on is the feature list.
hw.system @generic_x86_64_v3 (summary = "any x86-64 with AVX2 and FMA") {
  hw.device @cpu (codegen = x86_64, cpu = "x86-64-v3",
      features = ["sse4.2", "popcnt", "cx16", "avx", "avx2", "bmi", "bmi2",
                  "f16c", "fma", "lzcnt", "movbe", "xsave"]) {
    hw.memory @dram (kind = main, bytes = 8 GiB assumed,
        read = 40 GB/s assumed, write = 20 GB/s assumed,
        nt_write = 35 GB/s assumed, worker_read = 14 GB/s assumed,
        worker_write = 9 GB/s assumed, worker_nt_write = 12 GB/s assumed,
        latency = 95 ns assumed, line = 64, energy = 120 pJ/B assumed)
    hw.memory @l3 (bytes = 8 MiB assumed, read = 120 GB/s assumed,
        write = 80 GB/s assumed, worker_read = 30 GB/s assumed,
        worker_write = 20 GB/s assumed, latency = 15 ns assumed, line = 64,
        energy = 12 pJ/B assumed)
    hw.worker @core x 4 (clock = 3 GHz assumed, registers = 16 x 256 bit,
        loads = 2 documented, issue = 4 documented) {
      hw.memory @l2 (bytes = 256 KiB assumed, read = 75 GB/s assumed,
          write = 50 GB/s assumed, latency = 4.6 ns assumed, line = 64,
          energy = 4 pJ/B assumed)
      hw.memory @l1 (bytes = 32 KiB assumed, read = 180 GB/s assumed,
          write = 90 GB/s assumed, latency = 1.6 ns assumed,
          line = 64, ways = 8, energy = 1 pJ/B assumed)
      hw.costs (convert = 1 cycles assumed, shuffle = 1 cycles assumed,
          transpose = 2 cycles assumed, fold = 12 cycles assumed,
          gather = 1.5 cycles assumed, scatter = 2.5 cycles assumed,
          translations = 64 assumed, page_miss = 2 cycles assumed,
          evicted = 4 cycles assumed, held = 0.75 assumed,
          unhidden = 0.1 assumed, unhidden_memory = 0.2 assumed,
          tile = 50 ns assumed)
      hw.atom @fma 1 x 8 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 2 documented, latency = 5 cycles documented, from = @l1,
          energy = 8 pJ assumed, needs = ["fma"])
      hw.atom @fma_f64 1 x 4 x 1 f64, f64 -> f64 (instruction = "vector.fma",
          per_cycle = 2 documented, latency = 5 cycles documented, from = @l1,
          energy = 16 pJ assumed, needs = ["fma"])
    }
    hw.sync (cost = 170 ns assumed, wake = 10 us assumed, counter_stride = 64)
    hw.codegen (nt_store_fence = "sfence", prefetch_distance = 512 B assumed,
        nt_store_from = 8 MiB assumed, denormal = 150 cycles assumed,
        line_crossing = 0.5 documented, page = 4096)
  }
}
