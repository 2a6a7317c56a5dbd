// intel-cascade-lake: Xeon with AVX-512 and VNNI, without BF16 and AMX.
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A server core of the second Xeon Scalable generation. Measured on a virtual
// machine with two such cores, whose clock under AVX-512 is 2.4 GHz; what two
// cores cannot show (totals of shared levels) is assumed. Documented: Intel's
// optimization manual and product pages.
hw.system @intel_cascade_lake (
    summary = "Intel Xeon with AVX-512 VNNI, no AMX") {
  hw.device @cpu (codegen = x86_64, cpu = "cascadelake",
      features = ["sse4.2", "popcnt", "cx16", "avx", "avx2", "bmi", "bmi2",
                  "f16c", "fma", "lzcnt", "movbe", "xsave", "avx512f",
                  "avx512bw", "avx512cd", "avx512dq", "avx512vl",
                  "avx512vnni"],
      price = 0.4 USD/h assumed, watts = 165 W documented) {
    hw.memory @dram (kind = main, bytes = 64 GiB assumed,
        read = 94 GB/s assumed, write = 50 GB/s assumed,
        nt_write = 54 GB/s assumed, worker_read = 11.8 GB/s measured,
        worker_write = 6.4 GB/s measured, worker_nt_write = 6.8 GB/s measured,
        latency = 170 ns measured, line = 64, energy = 120 pJ/B assumed)
    hw.memory @l3 (bytes = 18 MiB measured, read = 185 GB/s assumed,
        write = 85 GB/s assumed, worker_read = 23 GB/s measured,
        worker_write = 10.6 GB/s measured, latency = 103 ns measured,
        line = 64, energy = 12 pJ/B assumed)
    hw.worker @core x 8 (clock = 2.38 GHz measured,
        registers = 32 x 512 bit,
        loads = 2 documented, issue = 4 documented, broadcast_operand) {
      hw.memory @l2 (bytes = 1 MiB documented, read = 108 GB/s measured,
          write = 46 GB/s measured, latency = 8 ns measured, line = 64,
          energy = 4 pJ/B assumed)
      hw.memory @l1 (bytes = 32 KiB documented, read = 326 GB/s measured,
          write = 168 GB/s measured, latency = 1.5 ns measured,
          line = 64, ways = 8, energy = 1 pJ/B assumed)
      hw.costs (convert = 1 cycles assumed, shuffle = 1 cycles assumed,
          transpose = 2 cycles assumed, fold = 12 cycles assumed,
          gather = 1.5 cycles assumed, scatter = 2.5 cycles assumed,
          translations = 64 assumed, page_miss = 2 cycles assumed,
          evicted = 4 cycles assumed, held = 0.75 assumed,
          unhidden = 0.1 assumed, unhidden_memory = 0.2 assumed,
          tile = 50 ns assumed)
      hw.atom @fma 1 x 16 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 2 measured, latency = 4 cycles measured, from = @l1,
          energy = 8 pJ assumed, needs = ["avx512f"])
      hw.atom @fma_f64 1 x 8 x 1 f64, f64 -> f64 (instruction = "vector.fma",
          per_cycle = 2 measured, latency = 4 cycles measured, from = @l1,
          energy = 16 pJ assumed, needs = ["avx512f"])
      hw.atom @vnni 1 x 16 x 4 ui8, i8 -> i32 (instruction = "x86.vpdpbusd",
          per_cycle = 2 measured, latency = 5 cycles documented, from = @l1,
          energy = 1 pJ assumed, needs = ["avx512vnni"])
    }
    hw.sync (cost = 112 ns measured, wake = 4.8 us measured,
        counter_stride = 64)
    hw.codegen (nt_store_fence = "sfence", prefetch_distance = 512 B assumed,
        nt_store_from = 16 MiB assumed, denormal = 118 cycles measured,
        line_crossing = 0.5 measured, page = 4096)
  }
}
