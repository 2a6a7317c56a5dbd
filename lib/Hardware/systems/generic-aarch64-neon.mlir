// generic-aarch64-neon: any AArch64 CPU with NEON.
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For binaries that must run on many machines: figures are of a middling
// server core and all assumed.
hw.system @generic_aarch64_neon (summary = "any AArch64 with NEON") {
  hw.device @cpu (codegen = aarch64, cpu = "generic",
      features = ["neon", "fp-armv8"]) {
    hw.memory @dram (kind = main, bytes = 8 GiB assumed,
        read = 60 GB/s assumed, write = 40 GB/s assumed,
        worker_read = 20 GB/s assumed, worker_write = 15 GB/s assumed,
        latency = 110 ns assumed, line = 64, energy = 100 pJ/B assumed)
    hw.memory @l3 (bytes = 8 MiB assumed, read = 160 GB/s assumed,
        write = 100 GB/s assumed, worker_read = 40 GB/s assumed,
        worker_write = 25 GB/s assumed, latency = 20 ns assumed, line = 64,
        energy = 10 pJ/B assumed)
    hw.worker @core x 4 (clock = 2.6 GHz assumed, registers = 32 x 128 bit,
        loads = 2 assumed, issue = 4 assumed) {
      hw.memory @l2 (bytes = 512 KiB assumed, read = 70 GB/s assumed,
          write = 50 GB/s assumed, latency = 4.2 ns assumed, line = 64,
          energy = 3 pJ/B assumed)
      hw.memory @l1 (bytes = 64 KiB assumed, read = 83 GB/s assumed,
          write = 41 GB/s assumed, latency = 1.5 ns assumed,
          line = 64, ways = 4, energy = 1 pJ/B assumed)
      hw.costs (convert = 1 cycles assumed, shuffle = 1 cycles assumed,
          transpose = 2 cycles assumed, fold = 12 cycles assumed,
          gather = 1.5 cycles assumed, scatter = 2.5 cycles assumed,
          translations = 64 assumed, page_miss = 2 cycles assumed,
          evicted = 4 cycles assumed, held = 0.75 assumed,
          unhidden = 0.1 assumed, unhidden_memory = 0.2 assumed,
          tile = 50 ns assumed)
      hw.atom @fma 1 x 4 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 2 assumed, latency = 4 cycles assumed, from = @l1,
          energy = 5 pJ assumed, needs = ["neon"])
      hw.atom @fma_f64 1 x 2 x 1 f64, f64 -> f64 (instruction = "vector.fma",
          per_cycle = 2 assumed, latency = 4 cycles assumed, from = @l1,
          energy = 10 pJ assumed, needs = ["neon"])
    }
    hw.sync (cost = 150 ns assumed, wake = 10 us assumed, counter_stride = 128)
    hw.codegen (prefetch_distance = 512 B assumed, denormal = 0 cycles assumed,
        line_crossing = 0.5 assumed, page = 4096)
  }
}
