// amd-zen4: one core complex of an EPYC of the fourth generation.
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AVX-512 in two passes of 256 bits: one 512-bit FMA per cycle, and one load of a
// whole register, but two of an element that is broadcast. Documented: AMD's
// software optimization guide for the Zen 4 microarchitecture.
hw.system @amd_zen4 (summary = "AMD Zen 4 core complex") {
  hw.device @ccd (codegen = x86_64, cpu = "znver4",
      features = ["sse4.2", "popcnt", "cx16", "avx", "avx2", "bmi", "bmi2",
                  "f16c", "fma", "lzcnt", "movbe", "xsave", "avx512f",
                  "avx512bw", "avx512cd", "avx512dq", "avx512vl",
                  "avx512vnni", "avx512bf16", "avx512ifma", "avx512vbmi",
                  "avx512vbmi2", "avx512bitalg", "avx512vpopcntdq",
                  "gfni", "vaes", "vpclmulqdq", "sse4a"],
      price = 0.35 USD/h assumed, watts = 40 W assumed) {
    hw.memory @dram (kind = main, bytes = 32 GiB assumed,
        read = 45 GB/s assumed, write = 25 GB/s assumed,
        nt_write = 28 GB/s assumed, worker_read = 35 GB/s assumed,
        worker_write = 18 GB/s assumed, worker_nt_write = 25 GB/s assumed,
        latency = 110 ns assumed, line = 64, energy = 120 pJ/B assumed)
    hw.memory @l3 (bytes = 32 MiB documented, read = 800 GB/s assumed,
        write = 400 GB/s assumed, worker_read = 100 GB/s assumed,
        worker_write = 60 GB/s assumed, latency = 13 ns documented, line = 64,
        energy = 8 pJ/B assumed)
    hw.worker @core x 8 (clock = 3.7 GHz assumed, registers = 32 x 512 bit,
        loads = 2 assumed, issue = 4 assumed, broadcast_operand) {
      hw.memory @l2 (bytes = 1 MiB documented, read = 180 GB/s assumed,
          write = 110 GB/s assumed, latency = 3.8 ns documented, line = 64,
          energy = 3 pJ/B assumed)
      hw.memory @l1 (bytes = 32 KiB documented, read = 236 GB/s documented,
          write = 118 GB/s documented, latency = 1.1 ns documented,
          line = 64, ways = 8, energy = 1 pJ/B assumed)
      hw.costs (convert = 1 cycles assumed, shuffle = 1 cycles assumed,
          transpose = 2 cycles assumed, fold = 12 cycles assumed,
          gather = 1.5 cycles assumed, scatter = 2.5 cycles assumed,
          translations = 64 assumed, page_miss = 2 cycles assumed,
          evicted = 4 cycles assumed, held = 0.75 assumed,
          unhidden = 0.1 assumed, unhidden_memory = 0.2 assumed,
          tile = 50 ns assumed)
      hw.atom @fma 1 x 16 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 1 documented, latency = 4 cycles documented, from = @l1,
          energy = 5 pJ assumed, needs = ["avx512f"])
      hw.atom @fma_f64 1 x 8 x 1 f64, f64 -> f64 (instruction = "vector.fma",
          per_cycle = 1 documented, latency = 4 cycles documented, from = @l1,
          energy = 10 pJ assumed, needs = ["avx512f"])
      hw.atom @dot_bf16 1 x 16 x 2 bf16, bf16 -> f32
         (instruction = "x86.vdpbf16ps", per_cycle = 1 documented,
          latency = 6 cycles documented, from = @l1, energy = 2.5 pJ assumed,
          needs = ["avx512bf16"])
      hw.atom @vnni 1 x 16 x 4 ui8, i8 -> i32 (instruction = "x86.vpdpbusd",
          per_cycle = 1 documented, latency = 4 cycles documented, from = @l1,
          energy = 1 pJ assumed, needs = ["avx512vnni"])
    }
    hw.sync (cost = 120 ns assumed, wake = 10 us assumed, counter_stride = 64)
    hw.codegen (nt_store_fence = "sfence", prefetch_distance = 512 B assumed,
        nt_store_from = 16 MiB assumed, denormal = 10 cycles assumed,
        line_crossing = 0.5 assumed, page = 4096,
        flushes_denormals = ["dot_bf16"])
  }
}
