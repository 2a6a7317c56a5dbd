// amd-zen5: one core complex of an EPYC of the fifth generation.
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Measured on a virtual machine: rates of atoms, FMA latency, DRAM read. The
// full 512-bit datapath starts two FMAs per cycle; the BF16 dot product is
// twice as fast as f32 FMA. LLVM's scheduling model for znver5 is a copy of
// znver4's and no source for figures. One complex reaches 40 to 47 GB/s of
// DRAM, from one thread or from several.
hw.system @amd_zen5 (summary = "AMD Zen 5 core complex") {
  hw.device @ccd (codegen = x86_64, cpu = "znver5",
      features = ["sse4.2", "popcnt", "cx16", "avx", "avx2", "bmi", "bmi2",
                  "f16c", "fma", "lzcnt", "movbe", "xsave", "avx512f",
                  "avx512bw", "avx512cd", "avx512dq", "avx512vl",
                  "avx512vnni", "avx512bf16", "avx512ifma", "avx512vbmi",
                  "avx512vbmi2", "avx512bitalg", "avx512vpopcntdq",
                  "gfni", "vaes", "vpclmulqdq", "sse4a", "avxvnni"],
      price = 0.4 USD/h assumed, watts = 45 W assumed) {
    hw.memory @dram (kind = main, bytes = 32 GiB assumed,
        read = 47 GB/s measured, write = 25 GB/s assumed,
        nt_write = 40 GB/s assumed, worker_read = 40 GB/s measured,
        worker_write = 20 GB/s assumed, worker_nt_write = 35 GB/s assumed,
        latency = 110 ns assumed, line = 64, energy = 120 pJ/B assumed)
    hw.memory @l3 (bytes = 32 MiB documented, read = 900 GB/s assumed,
        write = 450 GB/s assumed, worker_read = 115 GB/s assumed,
        worker_write = 70 GB/s assumed, latency = 12 ns documented, line = 64,
        energy = 8 pJ/B assumed)
    hw.worker @core x 8 (clock = 4.1 GHz measured, registers = 32 x 512 bit,
        loads = 2 documented, issue = 4 assumed, broadcast_operand) {
      hw.memory @l2 (bytes = 1 MiB documented, read = 260 GB/s documented,
          write = 180 GB/s assumed, latency = 3.4 ns documented, line = 64,
          energy = 3 pJ/B assumed)
      hw.memory @l1 (bytes = 48 KiB documented, read = 520 GB/s documented,
          write = 260 GB/s documented, latency = 1 ns documented,
          line = 64, ways = 12, energy = 1 pJ/B assumed)
      hw.costs (convert = 1 cycles assumed, shuffle = 1 cycles assumed,
          transpose = 2 cycles assumed, fold = 12 cycles assumed,
          gather = 1.5 cycles assumed, scatter = 2.5 cycles assumed,
          translations = 64 assumed, page_miss = 2 cycles assumed,
          evicted = 4 cycles assumed, held = 0.75 assumed,
          unhidden = 0.1 assumed, unhidden_memory = 0.2 assumed,
          tile = 50 ns assumed)
      hw.atom @fma 1 x 16 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 2 measured, latency = 4 cycles measured, from = @l1,
          energy = 5 pJ assumed, needs = ["avx512f"])
      hw.atom @fma_f64 1 x 8 x 1 f64, f64 -> f64 (instruction = "vector.fma",
          per_cycle = 2 documented, latency = 4 cycles documented, from = @l1,
          energy = 10 pJ assumed, needs = ["avx512f"])
      hw.atom @dot_bf16 1 x 16 x 2 bf16, bf16 -> f32
         (instruction = "x86.vdpbf16ps", per_cycle = 1.8 measured,
          latency = 6 cycles assumed, from = @l1, energy = 2.5 pJ assumed,
          needs = ["avx512bf16"])
      hw.atom @vnni 1 x 16 x 4 ui8, i8 -> i32 (instruction = "x86.vpdpbusd",
          per_cycle = 1.67 measured, latency = 4 cycles assumed, from = @l1,
          energy = 1 pJ assumed, needs = ["avx512vnni"])
    }
    hw.sync (cost = 120 ns assumed, wake = 10 us assumed, counter_stride = 64)
    hw.codegen (nt_store_fence = "sfence", prefetch_distance = 512 B assumed,
        nt_store_from = 16 MiB assumed, denormal = 10 cycles assumed,
        line_crossing = 0.5 measured, page = 4096,
        flushes_denormals = ["dot_bf16"])
  }
}
