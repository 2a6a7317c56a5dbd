// generic-x86-64-v4: any x86-64 CPU with AVX-512 (F, BW, CD, DQ, VL).
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For binaries that must run on many machines: figures are of a middling core
// and all assumed; what may be relied on is the feature list.
hw.system @generic_x86_64_v4 (summary = "any x86-64 with AVX-512") {
  hw.device @cpu (codegen = x86_64, cpu = "x86-64-v4",
      features = ["sse4.2", "popcnt", "cx16", "avx", "avx2", "bmi", "bmi2",
                  "f16c", "fma", "lzcnt", "movbe", "xsave", "avx512f",
                  "avx512bw", "avx512cd", "avx512dq", "avx512vl"]) {
    hw.memory @dram (kind = main, bytes = 16 GiB assumed,
        read = 80 GB/s assumed, write = 40 GB/s assumed,
        nt_write = 70 GB/s assumed, worker_read = 14 GB/s assumed,
        worker_write = 9 GB/s assumed, worker_nt_write = 15 GB/s assumed,
        latency = 100 ns assumed, line = 64, energy = 120 pJ/B assumed)
    hw.memory @l3 (bytes = 16 MiB assumed, read = 200 GB/s assumed,
        write = 120 GB/s assumed, worker_read = 25 GB/s assumed,
        worker_write = 18 GB/s assumed, latency = 20 ns assumed, line = 64,
        energy = 12 pJ/B assumed)
    hw.worker @core x 8 (clock = 3 GHz assumed, registers = 32 x 512 bit,
        loads = 2 documented, issue = 4 documented, broadcast_operand) {
      hw.memory @l2 (bytes = 1 MiB assumed, read = 140 GB/s assumed,
          write = 80 GB/s assumed, latency = 4.7 ns assumed, line = 64,
          energy = 4 pJ/B assumed)
      hw.memory @l1 (bytes = 32 KiB assumed, read = 300 GB/s assumed,
          write = 150 GB/s assumed, latency = 1.7 ns assumed,
          line = 64, ways = 8, energy = 1 pJ/B assumed)
      hw.costs (convert = 1 cycles assumed, shuffle = 1 cycles assumed,
          transpose = 2 cycles assumed, fold = 12 cycles assumed,
          gather = 1.5 cycles assumed, scatter = 2.5 cycles assumed,
          translations = 64 assumed, page_miss = 2 cycles assumed,
          evicted = 4 cycles assumed, held = 0.75 assumed,
          unhidden = 0.1 assumed, unhidden_memory = 0.2 assumed,
          tile = 50 ns assumed)
      hw.atom @fma 1 x 16 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 2 assumed, latency = 4 cycles documented, from = @l1,
          energy = 8 pJ assumed, needs = ["avx512f"])
      hw.atom @fma_f64 1 x 8 x 1 f64, f64 -> f64 (instruction = "vector.fma",
          per_cycle = 2 assumed, latency = 4 cycles documented, from = @l1,
          energy = 16 pJ assumed, needs = ["avx512f"])
    }
    hw.sync (cost = 170 ns assumed, wake = 10 us assumed, counter_stride = 64)
    hw.codegen (nt_store_fence = "sfence", prefetch_distance = 512 B assumed,
        nt_store_from = 16 MiB assumed, denormal = 150 cycles assumed,
        line_crossing = 0.5 documented, page = 4096)
  }
}
